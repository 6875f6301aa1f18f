import * as z from 'zod';
import { RUN_STATES } from '../../domain/run-state.ts';
import { LOG_LIMITS, readStepLog } from '../../dispatch/step-log.ts';
import { noteRetry } from '../../ledger/cancel-and-retry.ts';
import { findRuns, listRuns, readRun, SEARCHED_RUNS } from '../../ledger/find-runs.ts';
import { readRunDetails } from '../../ledger/run-details.ts';
import { APPROVAL, shownApproval } from './approvals.ts';
import { actorOf, onlyRunOf } from './caller.ts';
import type { ApiDeps } from './deps.ts';
import { AN_EVENT, A_RUN, RUN_PARAMS } from './examples.ts';
import { invalid, notFound } from './problem.ts';
import { LIMIT, NO_CURSOR, RUN_PATH, TIME } from './shapes.ts';
import { defineRoute, type ApiRoute } from './route.ts';

const MOMENT = z.iso.datetime().nullable();

/** A run in a list. */
export const RUN = z
  .strictObject({
    runId: z.uuid(),
    deliveryId: z.string(),
    kind: z.enum(['command', 'codex']),
    command: z.string(),
    title: z.string().meta({ description: 'What was asked, in one line; empty if nothing tells.' }),
    door: z.string(),
    state: z.enum(RUN_STATES as [string, ...string[]]),
    reason: z.string(),
    progress: z.string(),
    namespace: z.string(),
    workflowName: z.string(),
    workflowUid: z.string(),
    correlationId: z.string(),
    userId: z.string(),
    attempts: z.int(),
    retryCount: z.int(),
    retryOf: z.string(),
    cancelRequestedBy: z.string(),
    acceptedAt: z.iso.datetime(),
    submittedAt: MOMENT,
    startedAt: MOMENT,
    finishedAt: MOMENT,
    revision: z.int().meta({ description: 'Grows with each visible change; never shrinks.' }),
  })
  .meta({ id: 'Run' });

export const RUN_EVENT = z
  .strictObject({
    at: z.iso.datetime(),
    type: z.string(),
    actor: z.string(),
    payload: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'RunEvent' });

const RUN_DETAILS = RUN.extend({
  request: z
    .strictObject({
      workflowTemplate: z.string(),
      serviceAccount: z.string(),
      parameters: z.record(z.string(), z.string()),
    })
    .nullable()
    .meta({ description: 'The request; null once the run is archived.' }),
  approvals: z.array(APPROVAL).meta({ description: 'What it waits for now.' }),
  events: z.array(RUN_EVENT),
  retriedBy: z.string().meta({ description: 'The run that retries this one, or empty.' }),
  traceId: z.string(),
  links: z.strictObject({
    workflow: z.string().optional(),
    message: z.string().optional().meta({ description: 'Its message in Discord.' }),
    trace: z
      .string()
      .optional()
      .meta({ description: 'Its trace, if `telemetry.trace_url` is set and the trace is sampled.' }),
    retryOf: z.string().optional(),
    retriedBy: z.string().optional(),
  }),
}).meta({ id: 'RunDetails' });

const LIST_FIELDS = z.strictObject({
  state: z
    .string()
    .optional()
    .transform((text) => (text === undefined || text === '' ? undefined : text.split(',')))
    .pipe(
      z
        .array(z.enum(RUN_STATES as [string, ...string[]], { error: `must be some of ${RUN_STATES.join(', ')}` }))
        .optional(),
    )
    .meta({ param: { description: 'States, separated by commas.' } }),
  command: z.string().max(512).optional(),
  user: z.string().max(512).optional(),
  reference: z
    .string()
    .max(512)
    .optional()
    .meta({
      param: {
        description:
          'The run that this means: a run id or its first four or more characters, a delivery id or a workflow name. Several if it is not clear. Not with a filter or a cursor.',
      },
    }),
  since: TIME.optional(),
  door: z.string().max(64).optional(),
  text: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .meta({
      param: {
        description: `Text in the request, the reason or a name. Like \`door\`, it is looked for among the newest ${SEARCHED_RUNS} runs that the other filters let through.`,
      },
    }),
  limit: LIMIT,
  cursor: z.uuid({ error: NO_CURSOR }).optional(),
});

const LIST_QUERY = LIST_FIELDS.refine(
  ({ reference, limit: _limit, ...others }) =>
    reference === undefined || Object.values(others).every((one) => one === undefined),
  { path: ['reference'], message: 'must not be combined with a filter or a cursor' },
);

/** Reading, canceling and retrying runs. */
export const RUN_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'GET',
    path: '/v1/runs',
    operationId: 'listRuns',
    tag: 'runs',
    summary: 'List runs, newest first.',
    who: { scope: 'read' },
    query: LIST_QUERY,
    answers: {
      200: {
        description: 'A page of runs.',
        schema: z.strictObject({
          runs: z.array(RUN),
          next: z.string().nullable().meta({ description: 'The cursor of the next page; null on the last one.' }),
        }),
      },
    },
    example: {
      query: { state: 'running,failed', command: 'plan', limit: '20' },
      answer: { runs: [A_RUN], next: A_RUN.runId },
    },
    async handle({ query }, { db }: ApiDeps) {
      const { state, reference, limit, cursor } = query;
      if (reference !== undefined) {
        return { status: 200, body: { runs: await findRuns(db, reference), next: null } };
      }
      const found = await listRuns(db, {
        limit: limit + 1,
        states: state && RUN_STATES.filter((known) => state.includes(known)),
        command: query.command,
        userId: query.user,
        since: query.since === undefined ? undefined : new Date(query.since),
        door: query.door,
        text: query.text,
        before: cursor,
      });
      if (found.length === 0 && cursor !== undefined && (await readRun(db, cursor, null)) === undefined) {
        throw invalid([{ field: 'query.cursor', message: NO_CURSOR }]);
      }
      const runs = found.slice(0, limit);
      return { status: 200, body: { runs, next: found.length > limit ? (runs.at(-1)?.runId ?? null) : null } };
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/runs/{runId}',
    operationId: 'getRun',
    tag: 'runs',
    summary: 'Show a run: the request, the events, and links.',
    who: { scope: 'read', self: true },
    params: RUN_PATH,
    answers: { 200: { description: 'The run.', schema: RUN_DETAILS } },
    example: {
      params: RUN_PARAMS,
      answer: {
        ...A_RUN,
        request: { workflowTemplate: 'facteur-dispatch', serviceAccount: 'facteur', parameters: { action: 'plan' } },
        approvals: [],
        events: [AN_EVENT],
        retriedBy: '',
        traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
        links: { workflow: 'https://argo.example/workflows/argo/plan-20261128-120000-4f9a1c' },
      },
    },
    async handle({ params: { runId }, caller }, { db, pages }: ApiDeps) {
      const run = await readRunDetails(db, runId, { onlyRun: onlyRunOf(caller), pages });
      if (run === undefined) {
        throw notFound('run');
      }
      const other = (id: string): string | undefined => (id === '' ? undefined : `/v1/runs/${id}`);
      const links = { ...run.links, retryOf: other(run.retryOf), retriedBy: other(run.retriedBy) };
      return { status: 200, body: { ...run, approvals: run.approvals.map(shownApproval), links } };
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/runs/{runId}/log',
    operationId: 'getRunLog',
    tag: 'runs',
    summary: 'The end of the log of a step: up to 1,000 lines, without what looks like a credential.',
    who: { scope: 'operate' },
    params: RUN_PATH,
    query: z.strictObject({
      step: z
        .string()
        .max(255)
        .default('')
        .meta({
          param: {
            description: 'The name of a step. Default: the current step of a live run, else the failing or last one.',
          },
        }),
    }),
    answers: {
      200: {
        description: 'The log; `problem` if there is none.',
        schema: z
          .strictObject({
            step: z.string(),
            lines: z.string(),
            problem: z.enum(['disabled', 'gone', 'no_step', 'denied', 'silent']).nullable(),
          })
          .meta({ id: 'RunLog' }),
      },
    },
    example: { params: RUN_PARAMS, answer: { step: 'build', lines: 'make: nothing to be done', problem: null } },
    async handle({ params: { runId }, query: { step } }, { db, workflows, timer }: ApiDeps) {
      const run = await readRun(db, runId, null);
      if (run === undefined) {
        throw notFound('run');
      }
      const log = await readStepLog(run, { workflows, timer }, { step, limits: LOG_LIMITS });
      return { status: 200, body: { step: log.step ?? step, lines: log.lines, problem: log.problem ?? null } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/cancel',
    operationId: 'cancelRun',
    tag: 'runs',
    summary: 'Cancel a run; an ended run does not change.',
    who: { scope: 'operate' },
    params: RUN_PATH,
    answers: {
      202: {
        description: 'The request is recorded; `state` is the state of the run before it.',
        schema: z.strictObject({ runId: z.uuid(), state: z.enum(RUN_STATES as [string, ...string[]]) }),
      },
    },
    example: { params: RUN_PARAMS, answer: { runId: A_RUN.runId, state: 'running' } },
    async handle({ params: { runId }, caller }, { dispatch }: ApiDeps) {
      const state = await dispatch.cancel(runId, actorOf(caller));
      return { status: 202, body: { runId, state } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/retry',
    operationId: 'retryRun',
    tag: 'runs',
    summary: 'Retry a finished run as a new, linked run.',
    who: { scope: 'operate' },
    params: RUN_PATH,
    answers: {
      202: {
        description: 'The new run; `duplicate` if the run was already retried.',
        schema: z.strictObject({ runId: z.uuid(), workflowName: z.string(), duplicate: z.boolean() }),
      },
      409: { description: 'The run is live, or succeeded.' },
      422: { description: 'The template of its command has changed and no longer accepts this request.' },
    },
    example: {
      params: RUN_PARAMS,
      answer: {
        runId: '9a61c254-a07f-4ebd-8c15-3c4d5e6f7081',
        workflowName: 'plan-20261128-130000-7be2d0',
        duplicate: false,
      },
    },
    async handle({ params: { runId }, caller }, { db, dispatch }: ApiDeps) {
      const actor = actorOf(caller);
      const request = { awaitSubmissionMs: 0, door: 'api', actor } as const;
      const { runId: newId, workflowName, duplicate } = await dispatch.retry(runId, request);
      if (!duplicate) {
        await noteRetry(db, { runId, newId, actor });
      }
      return { status: 202, body: { runId: newId, workflowName, duplicate } };
    },
  }),
];
