import * as z from 'zod';
import { argoText } from '../../domain/argo-text.ts';
import { AWAIT_SUBMISSION_MS } from '../http/intake.ts';
import { actorOf } from './caller.ts';
import type { ApiDeps } from './deps.ts';
import { A_SUBMITTED_RUN } from './examples.ts';
import { ApiProblem } from './problem.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { LONG_TEXT } from './shapes.ts';
import { submitted, SUBMITTED } from './submit.ts';

/** An SSFO pair and its origin. */
interface Pair {
  readonly pairId: string;
  readonly uri: string;
  readonly runId: string;
  readonly retrievedAnswer: string;
  readonly nonRetrievedAnswer: string;
  readonly promptContext: string;
}

interface Cause {
  readonly actor: string;
  readonly traceparent: string;
}

/**
 * Starts the configured workflow for a pair, once; does nothing if none is configured. The workflow gets the pair as parameters,
 * because its token gives no access to other runs.
 */
export async function startPairWork(
  { pairId, ...pair }: Pair,
  cause: Cause,
  { dispatch, feedback: { ssfoWorkflowTemplate: workflowTemplate } }: Pick<ApiDeps, 'dispatch' | 'feedback'>,
): Promise<void> {
  if (workflowTemplate !== undefined) {
    const encoded = Buffer.from(JSON.stringify(pair)).toString('base64');
    const parameters = { ssfo_pair: encoded, artifact_uri: pair.uri };
    const work = { name: 'ssfo-pair', workId: pairId, workflowTemplate, parameters, ...cause } as const;
    await dispatch.feedback(work, { awaitSubmissionMs: 0 });
  }
}

/** Work started by an operator. */
export const FEEDBACK_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'POST',
    path: '/v1/embedding-refreshes',
    operationId: 'scheduleEmbeddingRefresh',
    tag: 'knowledge',
    summary:
      'Start the workflow of knowledge.refresh_workflow_template, once per Idempotency-Key, or per version without one.',
    who: { scope: 'operate' },
    idempotencyKey: 'optional',
    body: z.strictObject({
      version: z
        .string()
        .min(1)
        .max(200)
        .meta({ examples: ['text-embedding-3-small@1536'] }),
      notes: LONG_TEXT.default(''),
    }),
    answers: {
      201: { description: 'The run is recorded.', schema: SUBMITTED },
      200: { description: 'It was already recorded.', schema: SUBMITTED },
    },
    example: {
      body: { version: 'text-embedding-3-small@1536', notes: 'new model' },
      idempotencyKey: 'new-model',
      answer: A_SUBMITTED_RUN,
    },
    async handle({ body: { version, notes }, caller, idempotencyKey, traceparent }, { dispatch, feedback }: ApiDeps) {
      const { refreshWorkflowTemplate: workflowTemplate } = feedback;
      if (workflowTemplate === undefined) {
        throw new ApiProblem(503, 'refresh_not_configured', 'knowledge.refresh_workflow_template is not configured');
      }
      const actor = actorOf(caller);
      const parameters = { version: argoText(version), notes: argoText(notes), triggered_by: argoText(actor) };
      const workId = idempotencyKey === '' ? version : idempotencyKey;
      const work = { name: 'embedding-refresh', workId, workflowTemplate, parameters, actor, traceparent } as const;
      const receipt = await dispatch.feedback(work, { awaitSubmissionMs: AWAIT_SUBMISSION_MS });
      return { status: receipt.duplicate ? 200 : 201, body: submitted(receipt) };
    },
  }),
];
