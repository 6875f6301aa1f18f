import { hash } from 'node:crypto';
import * as z from 'zod';
import { listRunEvents, readRun } from '../../ledger/find-runs.ts';
import {
  addArtifact,
  addRunEvent,
  listArtifacts,
  listReflections,
  putRunMetrics,
  readRunMetrics,
} from '../../ledger/run-reports.ts';
import type { Reporter } from '../../ledger/write-report.ts';
import { actorOf, onlyRunOf, type Caller } from './caller.ts';
import type { ApiDeps } from './deps.ts';
import { AN_ARTIFACT, AN_EVENT, A_REFLECTION, A_RUN, METRICS_NOW, RUN_PARAMS } from './examples.ts';
import { notFound } from './problem.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { RUN_EVENT } from './runs.ts';
import { answerOf, LONG_TEXT, MOMENT, OBJECT, RUN_PATH, STORED, TYPE, writeAnswers } from './shapes.ts';
import { embeddedOf, OWN_EMBEDDING, requireWholeEmbedding } from './own-embedding.ts';
import { idFor } from './stable-id.ts';
import { startPairWork } from './feedback.ts';

/** A run's token may use these for its own run; operators may use them for any. */
const READER = { scope: 'read', self: true } as const;
const WRITER = { scope: 'operate', self: true } as const;

const ARTIFACT = z
  .strictObject({
    artifactId: z.uuid(),
    type: z.string(),
    uri: z.string(),
    checksum: z.string().nullable(),
    metadata: STORED,
    createdAt: MOMENT,
  })
  .meta({ id: 'Artifact' });

const SAVED_REFLECTION = z
  .strictObject({
    reflectionId: z.uuid(),
    type: z.string(),
    author: z.string().meta({ description: 'The author, set by facteur.' }),
    content: z.string(),
    embeddingVersion: z.string().nullable(),
    metadata: STORED,
    createdAt: MOMENT,
    updatedAt: MOMENT,
  })
  .meta({ id: 'SavedReflection' });

const REFLECTION = SAVED_REFLECTION.extend({
  embedding: z.array(z.number()).nullable().optional().meta({ description: 'With `include=embedding` only.' }),
}).meta({ id: 'Reflection' });

const METRICS = z
  .strictObject({
    queueLatencyMs: z.string().nullable(),
    runtimeMs: z.string().nullable(),
    retryLatencyMs: z.string().nullable(),
    resourceUsage: STORED,
  })
  .meta({ id: 'RunMetrics', description: 'Milliseconds as decimal strings, since they have 64 bits.' });

const MILLISECONDS = z.int().min(0).optional();
const OWN_URI = /^facteur:/i;

/** Events, artifacts, reflections and metrics of a run. */
export const REPORT_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'GET',
    path: '/v1/runs/{runId}/events',
    operationId: 'listRunEvents',
    tag: 'reports',
    summary: 'List the events of a run, oldest first.',
    who: READER,
    params: RUN_PATH,
    answers: { 200: { description: 'The events.', schema: z.strictObject({ events: z.array(RUN_EVENT) }) } },
    example: { params: RUN_PARAMS, answer: { events: [AN_EVENT] } },
    async handle({ params: { runId }, caller }, { db }: ApiDeps) {
      await requireRun(db, runId, caller);
      return { status: 200, body: { events: await listRunEvents(db, runId) } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/events',
    operationId: 'addRunEvent',
    tag: 'reports',
    summary: 'Report an event; at most 1,000 per run.',
    who: WRITER,
    params: RUN_PATH,
    idempotencyKey: 'optional',
    body: z.strictObject({
      type: TYPE.refine((type) => type !== 'state.change', 'is reserved').meta({ examples: ['tests.passed'] }),
      payload: OBJECT.refine(
        (payload) => !('idempotencyKey' in payload),
        'must not have a field idempotencyKey',
      ).default({}),
    }),
    answers: writeAnswers(z.strictObject({ at: MOMENT })),
    example: {
      params: RUN_PARAMS,
      body: { type: 'tests.passed', payload: { count: 312 } },
      idempotencyKey: 'tests-1',
      answer: { at: AN_EVENT.at },
    },
    async handle({ params: { runId }, caller, body: { type, payload }, idempotencyKey: key }, { db }: ApiDeps) {
      return answerOf(await addRunEvent(db, reporter(runId, caller), { type, payload, key }));
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/runs/{runId}/artifacts',
    operationId: 'listArtifacts',
    tag: 'reports',
    summary: 'List the artifacts of a run, oldest first.',
    who: READER,
    params: RUN_PATH,
    query: z.strictObject({ type: TYPE.optional() }),
    answers: { 200: { description: 'The artifacts.', schema: z.strictObject({ artifacts: z.array(ARTIFACT) }) } },
    example: { params: RUN_PARAMS, query: { type: 'diff' }, answer: { artifacts: [AN_ARTIFACT] } },
    async handle({ params: { runId }, caller, query: { type } }, { db }: ApiDeps) {
      await requireRun(db, runId, caller);
      return { status: 200, body: { artifacts: await listArtifacts(db, scope(runId, caller), type) } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/artifacts',
    operationId: 'addArtifact',
    tag: 'reports',
    summary: 'Report an artifact; at most 200 per run. The URI is unique across all runs.',
    who: WRITER,
    params: RUN_PATH,
    body: z.strictObject({
      type: TYPE.meta({ examples: ['diff'] }),
      uri: z
        .string()
        .max(2048)
        .regex(/^[A-Za-z][A-Za-z0-9+.-]{0,30}:\S+$/, 'must be a URI')
        .refine((uri) => !OWN_URI.test(uri), 'must not begin with facteur:')
        .meta({ examples: ['s3://builds/42/change.diff'] }),
      checksum: z.string().min(1).max(200).optional(),
      metadata: OBJECT.default({}),
    }),
    answers: {
      ...writeAnswers(ARTIFACT),
      409: { description: 'Another artifact has this URI.' },
    },
    example: {
      params: RUN_PARAMS,
      body: { type: 'diff', uri: 's3://builds/42/change.diff', checksum: 'sha256:9f86d081' },
      answer: AN_ARTIFACT,
    },
    async handle({ params: { runId }, caller, body }, { db }: ApiDeps) {
      const artifact = { ...body, checksum: body.checksum ?? null };
      return answerOf(await addArtifact(db, reporter(runId, caller), artifact), { field: 'body.uri' });
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/runs/{runId}/reflections',
    operationId: 'listReflections',
    tag: 'reports',
    summary: 'List the reflections of a run, by type.',
    who: READER,
    params: RUN_PATH,
    query: z.strictObject({ include: z.literal('embedding', { error: 'must be embedding' }).optional() }),
    answers: { 200: { description: 'The reflections.', schema: z.strictObject({ reflections: z.array(REFLECTION) }) } },
    example: { params: RUN_PARAMS, answer: { reflections: [A_REFLECTION] } },
    async handle({ params: { runId }, caller, query: { include } }, { db }: ApiDeps) {
      await requireRun(db, runId, caller);
      const found = await listReflections(db, scope(runId, caller), include !== undefined);
      const reflections = found.map(({ embedding, ...rest }) =>
        include === undefined ? rest : { ...rest, embedding },
      );
      return { status: 200, body: { reflections } };
    },
  }),
  defineRoute({
    method: 'PUT',
    path: '/v1/runs/{runId}/reflections/{type}',
    operationId: 'saveReflection',
    tag: 'reports',
    summary: 'Save a reflection: one per type, at most 20 types per run. A new text replaces the previous one.',
    who: WRITER,
    params: RUN_PATH.extend({ type: TYPE.meta({ examples: ['failure_postmortem'] }) }),
    body: z
      .strictObject({
        content: LONG_TEXT.min(1),
        author: z.string().max(256).optional().meta({ description: 'Kept as `metadata.claimed.author`.' }),
        metadata: OBJECT.default({}),
        ...OWN_EMBEDDING,
      })
      .superRefine(requireWholeEmbedding),
    answers: writeAnswers(SAVED_REFLECTION),
    example: {
      params: { ...RUN_PARAMS, type: 'failure_postmortem' },
      body: { content: 'The migration needs pgvector 0.8.' },
      answer: A_REFLECTION,
    },
    async handle({ params: { runId, type }, caller, body, signal }, { knowledge }: ApiDeps) {
      const claimed = body.author === undefined ? {} : { claimed: { author: body.author } };
      const reflection = {
        type,
        content: body.content,
        metadata: { ...body.metadata, ...claimed },
        embedded: embeddedOf(body),
      };
      return answerOf(await knowledge.save(reporter(runId, caller), reflection, signal));
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/ssfo-pairs',
    operationId: 'addSsfoPair',
    tag: 'reports',
    summary:
      'Store an answer with retrieval and one without, as an artifact of the type ssfo_pair, and start the workflow of knowledge.ssfo_workflow_template.',
    who: WRITER,
    params: RUN_PATH,
    idempotencyKey: 'required',
    body: z.strictObject({ retrievedAnswer: LONG_TEXT, nonRetrievedAnswer: LONG_TEXT, promptContext: LONG_TEXT }),
    answers: { ...writeAnswers(ARTIFACT), 409: { description: 'The key was used for another pair.' } },
    example: {
      params: RUN_PARAMS,
      body: { retrievedAnswer: 'pgvector 0.8', nonRetrievedAnswer: 'pgvector 0.5', promptContext: 'Which version?' },
      idempotencyKey: 'question-1',
      answer: {
        ...AN_ARTIFACT,
        type: 'ssfo_pair',
        uri: `facteur://runs/${A_RUN.runId}/ssfo/b1c2d3e4-f506-5718-8293-a4b5c6d7e8f9`,
        metadata: {
          retrievedAnswer: 'pgvector 0.8',
          nonRetrievedAnswer: 'pgvector 0.5',
          promptContext: 'Which version?',
        },
      },
    },
    async handle({ params: { runId }, caller, body, idempotencyKey, traceparent }, deps: ApiDeps) {
      const pairId = idFor(idempotencyKey, runId, 'ssfo');
      const uri = `facteur://runs/${runId}/ssfo/${pairId}`;
      const artifact = { type: 'ssfo_pair', uri, checksum: checksumOf(body), metadata: body };
      const written = await addArtifact(deps.db, reporter(runId, caller), artifact);
      const answer = answerOf(written, { field: 'header.idempotency-key' });
      // Also for a repetition: the first request may have failed between the two steps.
      await startPairWork({ pairId, uri, runId, ...body }, { actor: actorOf(caller), traceparent }, deps);
      return answer;
    },
  }),
  defineRoute({
    method: 'PUT',
    path: '/v1/runs/{runId}/retrieval-log',
    operationId: 'putRetrievalLog',
    tag: 'reports',
    summary:
      'Store the candidates and choices of a retrieval, as the only artifact of the type retrieval_decision_log.',
    who: WRITER,
    params: RUN_PATH,
    body: OBJECT,
    answers: { ...writeAnswers(ARTIFACT), 409: { description: 'The run already has another log.' } },
    example: {
      params: RUN_PARAMS,
      body: { strategy: 'retrieve', chosen: [A_REFLECTION.reflectionId] },
      answer: {
        ...AN_ARTIFACT,
        type: 'retrieval_decision_log',
        uri: `facteur://runs/${A_RUN.runId}/retrieval`,
        metadata: { strategy: 'retrieve', chosen: [A_REFLECTION.reflectionId] },
      },
    },
    async handle({ params: { runId }, caller, body }, { db }: ApiDeps) {
      const uri = `facteur://runs/${runId}/retrieval`;
      const artifact = { type: 'retrieval_decision_log', uri, checksum: checksumOf(body), metadata: body };
      return answerOf(await addArtifact(db, reporter(runId, caller), artifact));
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/runs/{runId}/metrics',
    operationId: 'getRunMetrics',
    tag: 'reports',
    summary: 'Show the metrics of a run.',
    who: READER,
    params: RUN_PATH,
    answers: { 200: { description: 'The metrics.', schema: METRICS } },
    example: { params: RUN_PARAMS, answer: METRICS_NOW },
    async handle({ params: { runId }, caller }, { db }: ApiDeps) {
      await requireRun(db, runId, caller);
      const nothing = { queueLatencyMs: null, runtimeMs: null, retryLatencyMs: null, resourceUsage: {} };
      return { status: 200, body: (await readRunMetrics(db, scope(runId, caller))) ?? nothing };
    },
  }),
  defineRoute({
    method: 'PUT',
    path: '/v1/runs/{runId}/metrics',
    operationId: 'putRunMetrics',
    tag: 'reports',
    summary: 'Report metrics of the run; omitted fields do not change.',
    who: WRITER,
    params: RUN_PATH,
    body: z.strictObject({
      queueLatencyMs: MILLISECONDS,
      runtimeMs: MILLISECONDS,
      retryLatencyMs: MILLISECONDS,
      resourceUsage: OBJECT.optional(),
    }),
    answers: { 200: { description: 'The current metrics.', schema: METRICS } },
    example: {
      params: RUN_PARAMS,
      body: { runtimeMs: 61_000, resourceUsage: { cpuSeconds: 1250 } },
      answer: METRICS_NOW,
    },
    async handle({ params: { runId }, caller, body }, { db }: ApiDeps) {
      const { queueLatencyMs, runtimeMs, retryLatencyMs, resourceUsage } = body;
      const metrics = { queueLatencyMs, runtimeMs, retryLatencyMs, resourceUsage };
      const stored = await putRunMetrics(db, reporter(runId, caller), metrics);
      if (stored === undefined) {
        throw notFound('run');
      }
      return { status: 200, body: stored };
    },
  }),
];

function scope(runId: string, caller: Caller) {
  return { runId, onlyRun: onlyRunOf(caller) };
}

export function reporter(runId: string, caller: Caller): Reporter {
  return { ...scope(runId, caller), actor: actorOf(caller) };
}

/** Distinguishes a run without data from an unknown run. */
export async function requireRun(db: ApiDeps['db'], runId: string, caller: Caller): Promise<void> {
  if ((await readRun(db, runId, onlyRunOf(caller))) === undefined) {
    throw notFound('run');
  }
}

function checksumOf(value: object): string {
  return `sha256:${hash('sha256', JSON.stringify(value))}`;
}
