import * as z from 'zod';
import { decideAsOperator, type OperatorDecision } from '../../dispatch/decide.ts';
import { APPROVAL_STATES, type Approval } from '../../domain/approval.ts';
import { Refusal } from '../../domain/refusal.ts';
import { RUN_STATES } from '../../domain/run-state.ts';
import { findApproval, listApprovals, type ApprovalId } from '../../ledger/approvals.ts';
import { actorOf, type Caller } from './caller.ts';
import type { ApiDeps } from './deps.ts';
import { AN_APPROVAL, APPROVAL_PARAMS } from './examples.ts';
import { invalid, refusalProblem } from './problem.ts';
import { defineRoute, type ApiAnswer, type ApiRoute } from './route.ts';
import { ID, LIMIT, MOMENT, NO_CURSOR, RUN_PATH } from './shapes.ts';

const VALUES = z.record(z.string(), z.string());
const VERDICT = z.enum(['approved', 'rejected']);

const RULES = z
  .strictObject({
    approvers: z.array(z.string()).meta({ description: 'Empty: who may run the command.' }),
    message: z.string(),
    timeoutSeconds: z.int().nullable(),
    onTimeout: z.enum(['reject', 'approve', 'leave']),
    selfApproval: z.boolean(),
    quorum: z.int(),
    reason: z.enum(['required', 'optional', 'none']),
    channel: z.string(),
    problem: z.string().meta({ description: 'The invalid annotations: nobody can decide in Discord.' }),
    timeoutOutputs: VALUES,
  })
  .meta({ id: 'ApprovalRules' });

const FIELD = z
  .strictObject({
    name: z.string(),
    description: z.string(),
    preset: z.string().nullable(),
    choices: z.array(z.string()).nullable().meta({ description: 'The allowed values; null for any text.' }),
  })
  .meta({ id: 'ApprovalField' });

export const APPROVAL = z
  .strictObject({
    runId: z.uuid(),
    key: z.string().meta({ description: 'Identifies it within its run.' }),
    command: z.string(),
    namespace: z.string(),
    workflowName: z.string(),
    workflowUid: z.string(),
    runState: z.enum(RUN_STATES as [string, ...string[]]),
    node: z.string().meta({ description: 'The step that waits.' }),
    template: z.string(),
    state: z.enum(APPROVAL_STATES).meta({
      description: '`deciding`: decided, but not in the workflow yet. `gone`: resumed or ended elsewhere.',
    }),
    fields: z.array(FIELD).meta({ description: 'The outputs that an approval supplies.' }),
    rules: RULES,
    requestedAt: MOMENT,
    expiresAt: MOMENT.nullable(),
    votes: z
      .record(z.string(), z.strictObject({ name: z.string(), at: z.iso.datetime({ offset: true }) }))
      .meta({ description: 'Who has approved so far, by user id.' }),
    verdict: VERDICT.nullable(),
    decidedBy: z.string(),
    decidedAt: MOMENT.nullable(),
    reason: z.string(),
    outputs: VALUES,
    problem: z
      .string()
      .meta({ description: 'Why the decision is not in the workflow yet, or why nothing was decided.' }),
  })
  .meta({ id: 'Approval' });

const CURSOR = z
  .string()
  .regex(/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}:[\da-f]{16}$/, NO_CURSOR)
  .transform((text): ApprovalId => {
    const [runId = '', key = ''] = text.split(':');
    return { runId, key };
  });

const cursorOf = ({ runId, key }: ApprovalId): string => `${runId}:${key}`;

const LIST_QUERY = z.strictObject({
  state: z
    .string()
    .optional()
    .transform((text) => (text === undefined || text === '' ? undefined : text.split(',')))
    .pipe(z.array(z.enum(APPROVAL_STATES, { error: `must be some of ${APPROVAL_STATES.join(', ')}` })).optional())
    .meta({ param: { description: 'States, separated by commas. Default: all.' } }),
  run: ID.optional().meta({ param: { description: 'The id of a run.' } }),
  command: z.string().max(512).optional(),
  limit: LIMIT,
  cursor: CURSOR.optional(),
});

const PATH = RUN_PATH.extend({
  key: z
    .string()
    .regex(/^[\da-f]{16}$/, 'must be the `key` of an approval')
    .meta({ description: 'The key of the approval.' }),
});

const REASON = z.string().max(500).default('').meta({ description: 'Recorded with the decision.' });

const DECIDED = {
  description: 'The decision is recorded. `state` is `deciding` until it is in the workflow.',
  schema: APPROVAL,
};
const SETTLED = { description: 'It was already decided, or no longer waits; `detail` says by whom and when.' };

const A_DECISION = { verdict: 'approved', decidedBy: 'api ops', decidedAt: '2026-11-28T12:10:00.000Z' };

/** Lists approvals, and decides them as an operator. */
export const APPROVAL_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'GET',
    path: '/v1/approvals',
    operationId: 'listApprovals',
    tag: 'approvals',
    summary:
      'List what workflows wait for, and what was decided, oldest first. A page ends after 4 MiB, so it may have fewer than `limit`.',
    who: { scope: 'read' },
    query: LIST_QUERY,
    answers: {
      200: {
        description: 'A page of approvals.',
        schema: z.strictObject({
          approvals: z.array(APPROVAL),
          next: z.string().nullable().meta({ description: 'The cursor of the next page; null on the last one.' }),
        }),
      },
    },
    example: { query: { state: 'waiting', limit: '20' }, answer: { approvals: [AN_APPROVAL], next: null } },
    async handle({ query: { state, run, command, limit, cursor } }, { db }: ApiDeps) {
      const { rows, hasMore } = await listApprovals(db, { runId: run, states: state, command, after: cursor, limit });
      if (
        rows.length === 0 &&
        cursor !== undefined &&
        (await findApproval(db, cursor.runId, cursor.key)) === undefined
      ) {
        throw invalid([{ field: 'query.cursor', message: NO_CURSOR }]);
      }
      const last = hasMore ? rows.at(-1) : undefined;
      return {
        status: 200,
        body: { approvals: rows.map(shownApproval), next: last === undefined ? null : cursorOf(last) },
      };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/approvals/{key}/approve',
    operationId: 'approve',
    tag: 'approvals',
    summary: 'Approve as an operator, regardless of whom the template names.',
    who: { scope: 'operate' },
    params: PATH,
    body: z.strictObject({
      outputs: VALUES.default({}).meta({ description: 'The values that the step supplies, by the names of `fields`.' }),
      reason: REASON,
    }),
    verbatim: true,
    answers: {
      202: DECIDED,
      409: SETTLED,
      422: { description: 'The values are invalid; `errors` names the outputs.' },
    },
    example: {
      params: APPROVAL_PARAMS,
      body: { outputs: { version: 'v1.2' } },
      answer: { ...AN_APPROVAL, ...A_DECISION, state: 'deciding', outputs: { version: 'v1.2' } },
    },
    async handle({ params, body, caller }, deps: ApiDeps) {
      return decide({ ...params, ...body, verdict: 'approved' }, caller, deps);
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/runs/{runId}/approvals/{key}/reject',
    operationId: 'reject',
    tag: 'approvals',
    summary: 'Reject as an operator, regardless of whom the template names.',
    who: { scope: 'operate' },
    params: PATH,
    body: z.strictObject({ reason: REASON }),
    answers: { 202: DECIDED, 409: SETTLED },
    example: {
      params: APPROVAL_PARAMS,
      body: { reason: 'not on a Friday' },
      answer: { ...AN_APPROVAL, ...A_DECISION, state: 'deciding', verdict: 'rejected', reason: 'not on a Friday' },
    },
    async handle({ params, body, caller }, deps: ApiDeps) {
      return decide({ ...params, ...body, outputs: {}, verdict: 'rejected' }, caller, deps);
    },
  }),
];

async function decide(decision: OperatorDecision, caller: Caller, deps: ApiDeps): Promise<ApiAnswer> {
  try {
    return { status: 202, body: shownApproval(await decideAsOperator(decision, actorOf(caller), deps)) };
  } catch (error) {
    if (error instanceof Refusal) {
      throw refusalProblem(error, 'body.outputs', { field: '', message: error.message });
    }
    throw error;
  }
}

/** Omits the kind: only nodes are listed. */
export function shownApproval({ kind: _kind, ...approval }: Approval): Omit<Approval, 'kind'> {
  return approval;
}
