import type { FastifyInstance } from 'fastify';
import { FacteurError } from '../../base/errors.ts';
import type { CodexDelivery } from '../../domain/codex-delivery.ts';
import { Refusal } from '../../domain/refusal.ts';
import { CodexTaskStage } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { decodeCodexDelivery } from '../decode/codex-task.ts';
import type { HttpDeps } from './deps.ts';
import { AWAIT_SUBMISSION_MS, registerIntake } from './intake.ts';
import { submissionStatus } from './submission-status.ts';

/** `POST /codex/tasks`: a Codex implementation task. */
export function registerCodexTasks(app: FastifyInstance, deps: HttpDeps): void {
  registerIntake(app, deps, {
    path: '/codex/tasks',
    failure: 'implementation orchestrator failed',
    decode(incoming) {
      const delivery = decodeCodexDelivery(incoming, 'http');
      checkDelivery(delivery, deps.codexEnabled);
      return {
        deliveryId: delivery.deliveryId,
        accept: () => deps.dispatch.codexTask(delivery, { awaitSubmissionMs: AWAIT_SUBMISSION_MS }),
      };
    },
    accepted: (receipt) => ({
      stage: 'implementation',
      namespace: receipt.namespace,
      workflowName: receipt.workflowName,
      // RFC 3339 in seconds.
      submittedAt: `${receipt.acceptedAt.toISOString().slice(0, 19)}Z`,
      duplicate: receipt.duplicate,
      runId: receipt.runId,
      status: submissionStatus(receipt.state),
    }),
    keep: ({ body }) => body,
  });
}

/** In the order of the contract: what can never be done, then what is switched off, then what is missing. */
function checkDelivery({ task, deliveryId }: CodexDelivery, enabled: boolean): void {
  if (task.stage !== CodexTaskStage.IMPLEMENTATION) {
    throw new Refusal('unsupported_stage');
  }
  if (!enabled) {
    throw new FacteurError('codex.disabled', 'the implementation orchestrator is disabled', { retryable: true });
  }
  if (deliveryId === '') {
    throw new Refusal('missing_delivery_id');
  }
}
