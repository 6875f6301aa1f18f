import * as z from 'zod';
import { findIdea } from '../../ledger/ideas.ts';
import {
  addIdeaCheck,
  addPolicyCheck,
  hasIdeaCheck,
  listIdeaChecks,
  listPolicyChecks,
} from '../../ledger/run-reports.ts';
import { actorOf, onlyRunOf } from './caller.ts';
import type { ApiDeps } from './deps.ts';
import { A_CHECK, IDEA_PARAMS, RUN_PARAMS } from './examples.ts';
import { IDEA_PATH } from './ideas.ts';
import { invalid, notFound } from './problem.ts';
import { reporter, requireRun } from './reports.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import {
  answerOf,
  LIMIT,
  LONG_TEXT,
  MOMENT,
  NO_CURSOR,
  OBJECT,
  RUN_PATH,
  STORED,
  TYPE,
  writeAnswers,
} from './shapes.ts';
import { idFor } from './stable-id.ts';

const READER = { scope: 'read', self: true } as const;
const WRITER = { scope: 'operate', self: true } as const;

/** The policy key of a router's decisions. */
const ROUTER = 'retrieval.router';
const GATE = 'promotion.gate';

const STATUS = z.enum(['pass', 'fail', 'waived'], { error: 'must be pass, fail or waived' });

const CHECK = z
  .strictObject({
    checkId: z.uuid(),
    policyKey: z.string(),
    status: z.string(),
    evidenceUri: z.string().nullable(),
    metadata: STORED,
    createdAt: MOMENT,
  })
  .meta({ id: 'PolicyCheck' });

const CHECKS = z.strictObject({ checks: z.array(CHECK) });
const CHECK_QUERY = z.strictObject({ policyKey: TYPE.optional() });
const SHORT_TEXT = z.string().min(1).max(256);

/** Results of policies, routers and gates. */
export const CHECK_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'GET',
    path: '/v1/runs/{runId}/policy-checks',
    operationId: 'listPolicyChecks',
    tag: 'checks',
    summary: 'List the policy checks of a run, newest first, including router decisions and anomalies.',
    who: READER,
    params: RUN_PATH,
    query: CHECK_QUERY,
    answers: { 200: { description: 'The checks.', schema: CHECKS } },
    example: { params: RUN_PARAMS, query: { policyKey: 'tests.required' }, answer: { checks: [A_CHECK] } },
    async handle({ params: { runId }, caller, query: { policyKey } }, { db }: ApiDeps) {
      await requireRun(db, runId, caller);
      const checks = await listPolicyChecks(db, { runId, onlyRun: onlyRunOf(caller) }, policyKey);
      return { status: 200, body: { checks } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/policy-checks',
    operationId: 'addPolicyCheck',
    tag: 'checks',
    summary: 'Report the result of a policy check; at most 200 per run.',
    who: WRITER,
    params: RUN_PATH,
    idempotencyKey: 'optional',
    body: z.strictObject({
      policyKey: TYPE.meta({ examples: ['tests.required'] }),
      status: STATUS,
      evidenceUri: z.string().min(1).max(2048).optional(),
      metadata: OBJECT.default({}),
    }),
    answers: writeAnswers(CHECK),
    example: {
      params: RUN_PARAMS,
      body: { policyKey: 'tests.required', status: 'pass', evidenceUri: 'https://ci.example/builds/42' },
      idempotencyKey: 'tests-1',
      answer: A_CHECK,
    },
    async handle({ params: { runId }, caller, body, idempotencyKey }, { db }: ApiDeps) {
      const check = {
        checkId: idFor(idempotencyKey, runId, 'check'),
        policyKey: body.policyKey,
        status: body.status,
        evidenceUri: body.evidenceUri ?? null,
        metadata: body.metadata,
      };
      return answerOf(await addPolicyCheck(db, reporter(runId, caller), check));
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/router-decisions',
    operationId: 'recordRouterDecision',
    tag: 'checks',
    summary: `Report whether retrieval was used, as a check of the policy ${ROUTER}: pass if it was, else waived.`,
    who: WRITER,
    params: RUN_PATH,
    idempotencyKey: 'optional',
    body: z.strictObject({
      strategy: SHORT_TEXT.meta({ examples: ['retrieve'] }),
      retrievalUsed: z.boolean(),
      notes: LONG_TEXT.default(''),
    }),
    answers: writeAnswers(CHECK),
    example: {
      params: RUN_PARAMS,
      body: { strategy: 'retrieve', retrievalUsed: true },
      idempotencyKey: 'router-1',
      answer: {
        ...A_CHECK,
        policyKey: ROUTER,
        evidenceUri: null,
        metadata: { strategy: 'retrieve', retrievalUsed: true, notes: '' },
      },
    },
    async handle({ params: { runId }, caller, body, idempotencyKey }, { db }: ApiDeps) {
      const check = {
        checkId: idFor(idempotencyKey, runId, 'router'),
        policyKey: ROUTER,
        status: body.retrievalUsed ? 'pass' : 'waived',
        evidenceUri: null,
        metadata: body,
      };
      return answerOf(await addPolicyCheck(db, reporter(runId, caller), check));
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/anomalies',
    operationId: 'recordAnomalyResult',
    tag: 'checks',
    summary: 'Report the result of an anomaly check, as a check of the policy anomaly.KIND.',
    who: WRITER,
    params: RUN_PATH,
    idempotencyKey: 'optional',
    body: z.strictObject({
      kind: z.string().regex(/^[a-z][a-z0-9_.-]{0,53}$/, 'must be 1 to 54 lower-case letters, digits, `_`, `.` or `-`'),
      outcome: STATUS,
      payload: OBJECT.default({}),
    }),
    answers: writeAnswers(CHECK),
    example: {
      params: RUN_PARAMS,
      body: { kind: 'synthetic', outcome: 'fail', payload: { score: 0.93 } },
      idempotencyKey: 'anomaly-1',
      answer: {
        ...A_CHECK,
        policyKey: 'anomaly.synthetic',
        status: 'fail',
        evidenceUri: null,
        metadata: { score: 0.93 },
      },
    },
    async handle({ params: { runId }, caller, body, idempotencyKey }, { db, reported }: ApiDeps) {
      const check = {
        checkId: idFor(idempotencyKey, runId, 'anomaly'),
        policyKey: `anomaly.${body.kind}`,
        status: body.outcome,
        evidenceUri: null,
        metadata: body.payload,
      };
      const written = await addPolicyCheck(db, reporter(runId, caller), check);
      if (written.kind === 'created') {
        reported.anomalyChecked(body.outcome);
      }
      return answerOf(written);
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/ideas/{ideaId}/policy-checks',
    operationId: 'listIdeaChecks',
    tag: 'checks',
    summary:
      'List the policy checks and gates of an idea, newest first, for all its runs. A page ends after 4 MiB, so it may have fewer than `limit`.',
    who: { scope: 'read' },
    params: IDEA_PATH,
    query: CHECK_QUERY.extend({ limit: LIMIT, cursor: z.uuid({ error: NO_CURSOR }).optional() }),
    answers: {
      200: {
        description: 'A page of checks.',
        schema: CHECKS.extend({
          next: z.string().nullable().meta({ description: 'The cursor of the next page; null on the last one.' }),
        }),
      },
    },
    example: { params: IDEA_PARAMS, query: { limit: '10' }, answer: { checks: [A_CHECK], next: null } },
    async handle({ params: { ideaId }, query: { policyKey, limit, cursor } }, { db }: ApiDeps) {
      if (cursor !== undefined && !(await hasIdeaCheck(db, ideaId, cursor))) {
        throw invalid([{ field: 'query.cursor', message: NO_CURSOR }]);
      }
      const { rows: checks, hasMore } = await listIdeaChecks(db, ideaId, { policyKey, after: cursor, limit });
      if (checks.length === 0 && (await findIdea(db, ideaId)) === undefined) {
        throw notFound('idea');
      }
      return { status: 200, body: { checks, next: hasMore ? (checks.at(-1)?.checkId ?? null) : null } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/ideas/{ideaId}/promotion-gates',
    operationId: 'recordPromotionGate',
    tag: 'checks',
    summary: 'Evaluate a candidate: it passes if it was approved and neither faithfulness nor retrieval got worse.',
    who: { scope: 'operate' },
    params: IDEA_PATH,
    idempotencyKey: 'optional',
    body: z.strictObject({
      candidateVersion: SHORT_TEXT,
      faithfulnessDelta: z.number(),
      retrievalGain: z.number(),
      approved: z.boolean(),
    }),
    answers: {
      201: { description: 'The gate; `status` is pass or fail.', schema: CHECK },
      200: { description: 'It was already recorded.', schema: CHECK },
    },
    example: {
      params: IDEA_PARAMS,
      body: { candidateVersion: 'v2', faithfulnessDelta: 0.02, retrievalGain: 0, approved: true },
      idempotencyKey: 'gate-v2',
      answer: {
        ...A_CHECK,
        policyKey: GATE,
        evidenceUri: null,
        metadata: {
          candidateVersion: 'v2',
          faithfulnessDelta: 0.02,
          retrievalGain: 0,
          approved: true,
          recordedBy: 'api ops',
        },
      },
    },
    async handle({ params: { ideaId }, caller, body, idempotencyKey }, { db }: ApiDeps) {
      const passes = body.approved && body.faithfulnessDelta >= 0 && body.retrievalGain >= 0;
      const written = await addIdeaCheck(db, ideaId, {
        checkId: idFor(idempotencyKey, ideaId, 'gate'),
        policyKey: GATE,
        status: passes ? 'pass' : 'fail',
        evidenceUri: null,
        metadata: { ...body, recordedBy: actorOf(caller) },
      });
      return answerOf(written, { parent: 'idea' });
    },
  }),
];
