import type { FastifyInstance } from 'fastify';
import { inCodexRequest } from '../../dispatch/dispatch-events.ts';
import { checkCodexDelivery } from '../check-codex-delivery.ts';
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
      checkCodexDelivery(delivery, deps.codexEnabled);
      return {
        deliveryId: delivery.deliveryId,
        accept: () =>
          inCodexRequest(delivery, () => deps.dispatch.codexTask(delivery, { awaitSubmissionMs: AWAIT_SUBMISSION_MS })),
      };
    },
    accepted: (receipt) => ({
      stage: 'implementation',
      namespace: receipt.namespace,
      workflowName: receipt.workflowName,
      // RFC 3339 with seconds.
      submittedAt: `${receipt.acceptedAt.toISOString().slice(0, 19)}Z`,
      duplicate: receipt.duplicate,
      runId: receipt.runId,
      status: submissionStatus(receipt.state),
    }),
    keep: ({ body }) => body,
  });
}
