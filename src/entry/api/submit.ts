import * as z from 'zod';
import type { Command, Principal } from '../../domain/command.ts';
import { Refusal } from '../../domain/refusal.ts';
import { RUN_STATES } from '../../domain/run-state.ts';
import type { RunReceipt } from '../../domain/run.ts';
import { checkCodexDelivery } from '../check-codex-delivery.ts';
import { MAX_SHORT_LENGTH } from '../decode/bounds.ts';
import { decodeCodexTask } from '../decode/codex-task.ts';
import { AWAIT_SUBMISSION_MS } from '../http/intake.ts';
import { askedCommand } from '../asked-command.ts';
import { actorOf } from './caller.ts';
import type { ApiDeps } from './deps.ts';
import { A_SUBMITTED_RUN } from './examples.ts';
import { refusalProblem } from './problem.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { MOMENT } from './shapes.ts';

const SHORT = z.string().max(MAX_SHORT_LENGTH);

const BODY = z
  .strictObject({
    command: z.string().min(1).max(100).optional().meta({ description: 'The name of a command.' }),
    options: z.record(SHORT, z.string()).optional().meta({ description: 'Its options, all strings.' }),
    user: z
      .strictObject({ id: SHORT.min(1), username: SHORT.default(''), roles: z.array(SHORT).max(250).default([]) })
      .optional()
      .meta({
        description: 'The user on whose behalf it runs. Without a user, a command that requires a role is refused.',
      }),
    correlationId: SHORT.optional(),
    codexTask: z
      .record(z.string(), z.unknown())
      .optional()
      .meta({ description: 'A CodexTask in the JSON form of its protobuf. Its `deliveryId` is its identity.' }),
  })
  .superRefine((body, context) => {
    const isTask = body.codexTask !== undefined;
    if (isTask === (body.command !== undefined)) {
      const message = isTask ? 'must not be combined with codexTask' : 'is required, or codexTask';
      context.addIssue({ code: 'custom', path: ['command'], message });
    }
    for (const field of ['options', 'user', 'correlationId'] as const) {
      if (isTask && body[field] !== undefined) {
        context.addIssue({ code: 'custom', path: [field], message: 'must not be combined with codexTask' });
      }
    }
  });

type Wanted = z.output<typeof BODY>;

/** The answer about a new or an existing run. */
export const SUBMITTED = z
  .strictObject({
    runId: z.uuid(),
    deliveryId: z.string(),
    namespace: z.string(),
    workflowName: z.string(),
    correlationId: z.string(),
    state: z.enum(RUN_STATES as [string, ...string[]]),
    reason: z.string().meta({ description: 'Why it was refused, how it failed, or why it waits; empty if unknown.' }),
    acceptedAt: MOMENT,
    duplicate: z.boolean(),
  })
  .meta({ id: 'SubmittedRun' });

/** The fields for refusals of a Codex task that name no field. */
const CODEX_FIELDS: Readonly<Record<string, readonly [string, string]>> = {
  unsupported_stage: ['stage', 'must be CODEX_TASK_STAGE_IMPLEMENTATION'],
  missing_delivery_id: ['deliveryId', 'is required, or the header Idempotency-Key'],
};

/** Starting runs. */
export const SUBMIT_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'POST',
    path: '/v1/runs',
    operationId: 'submitRun',
    tag: 'runs',
    summary: 'Run a command or a Codex task, by the rules of the other doors.',
    who: { scope: 'operate' },
    idempotencyKey: 'optional',
    body: BODY,
    verbatim: true,
    answers: {
      201: {
        description: 'The run is recorded. `state` is `queued` until the cluster accepts it.',
        schema: SUBMITTED,
      },
      200: {
        description: 'The delivery was already recorded: its run, regardless of the body.',
        schema: SUBMITTED,
      },
      403: {
        description: 'The token has no permission, or the user has none of the required roles.',
      },
      422: { description: 'The command is unknown or the request is invalid for it; `errors` names the fields.' },
    },
    example: {
      body: { command: 'plan', options: { objective: 'Measure the tank' } },
      idempotencyKey: 'nightly-2026-11-28',
      answer: A_SUBMITTED_RUN,
    },
    async handle({ body, caller, idempotencyKey, traceparent }, deps: ApiDeps) {
      const asked = { ...body, actor: actorOf(caller), key: idempotencyKey, traceparent };
      const receipt = await (asked.codexTask === undefined ? runCommand(asked, deps) : runCodexTask(asked, deps));
      return {
        status: receipt.duplicate ? 200 : 201,
        body: submitted(receipt),
        headers: { location: `/v1/runs/${receipt.runId}` },
      };
    },
  }),
];

interface Asked extends Wanted {
  readonly actor: string;
  /** The `Idempotency-Key`, or empty. */
  readonly key: string;
  readonly traceparent: string;
}

async function runCommand(asked: Asked, deps: ApiDeps): Promise<RunReceipt> {
  try {
    return await deps.dispatch.command(commandOf(asked, deps), { awaitSubmissionMs: AWAIT_SUBMISSION_MS });
  } catch (error) {
    if (error instanceof Refusal) {
      const message = error.kind === 'forbidden' ? 'requires a role that the user does not have' : error.details;
      throw refusalProblem(error, 'body', { field: 'command', message: message ?? error.message });
    }
    throw error;
  }
}

function commandOf({ command: name = '', options = {}, actor, key, ...asked }: Asked, deps: ApiDeps): Command {
  const { correlationId = '', traceparent } = asked;
  const deliveryId = key === '' ? deps.newId() : key;
  const principal = principalOf(asked);
  const now = deps.now();
  return askedCommand(
    { door: 'api', deliveryId, name, options, principal, actor, correlationId, traceparent, now },
    deps.rules(),
  );
}

function principalOf({ user }: Pick<Wanted, 'user'>): Principal {
  const { id = '', username = '', roles = [] } = user ?? {};
  return { userId: id, username, globalName: '', roles, guildId: '', channelId: '' };
}

async function runCodexTask(
  { codexTask, actor, key, traceparent }: Asked,
  { dispatch, codexEnabled }: ApiDeps,
): Promise<RunReceipt> {
  try {
    const delivery = { ...decodeCodexTask(codexTask, key), door: 'api', actor, traceparent } as const;
    checkCodexDelivery(delivery, codexEnabled);
    return await dispatch.codexTask(delivery, { awaitSubmissionMs: AWAIT_SUBMISSION_MS });
  } catch (error) {
    if (error instanceof Refusal) {
      const [field, message] = CODEX_FIELDS[error.kind] ?? ['', error.details ?? error.message];
      throw refusalProblem(error, 'body.codexTask', { field, message });
    }
    throw error;
  }
}

export function submitted(receipt: RunReceipt): Omit<RunReceipt, 'recordedId' | 'takenOver'> {
  const { runId, deliveryId, namespace, workflowName, correlationId, state, reason, acceptedAt, duplicate } = receipt;
  return { runId, deliveryId, namespace, workflowName, correlationId, state, reason, acceptedAt, duplicate };
}
