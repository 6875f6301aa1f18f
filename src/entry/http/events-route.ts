import type { FastifyInstance } from 'fastify';
import { decodeCommand } from '../decode/command.ts';
import { withoutToken } from '../decode/without-token.ts';
import type { HttpDeps } from './deps.ts';
import { AWAIT_SUBMISSION_MS, registerIntake } from './intake.ts';
import { submissionStatus } from './submission-status.ts';

/** `POST /events`: a Discord command that its sender has already received from Discord. */
export function registerEvents(app: FastifyInstance, deps: HttpDeps): void {
  registerIntake(app, deps, {
    path: '/events',
    failure: 'dispatch failed',
    decode(incoming) {
      const command = decodeCommand(incoming, { door: 'http', freshId: deps.newId });
      return {
        deliveryId: command.deliveryId,
        command: command.name,
        accept: () => deps.dispatch.command(command, { awaitSubmissionMs: AWAIT_SUBMISSION_MS }),
      };
    },
    accepted: (receipt) => ({
      workflowName: receipt.workflowName,
      namespace: receipt.namespace,
      correlationId: receipt.correlationId,
      runId: receipt.runId,
      deliveryId: receipt.deliveryId,
      duplicate: receipt.duplicate,
      status: submissionStatus(receipt.state),
    }),
    events: deps.events,
    keep: withoutToken,
  });
}
