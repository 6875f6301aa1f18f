import type { Attributes } from '@opentelemetry/api';
import { continuing, currentTraceparent, inSpan, meter } from '../base/telemetry.ts';
import type { CodexDelivery } from '../domain/codex-delivery.ts';
import type { Command } from '../domain/command.ts';
import type { RunReceipt } from '../domain/run.ts';
import type { CommandMetrics } from './command-metrics.ts';
import type { Dispatch } from './dispatch.ts';
import { IMPLEMENTATION } from './plan-codex.ts';

/**
 * The same, in spans and with counts. The run's row gets the `traceparent` of the span here, so that whatever happens to
 * it later, in whichever process, is part of its sender's trace, or of the one that begins here.
 */
export function observeDispatch(dispatch: Dispatch, metrics: CommandMetrics): Dispatch {
  const recorded = meter().createCounter('facteur_runs_recorded_total', {
    description: 'Deliveries that are in the ledger, by the door they came through; duplicates were there before.',
  });
  const count = (door: string, receipt: RunReceipt): RunReceipt => {
    recorded.add(1, { door, duplicate: receipt.duplicate });
    return receipt;
  };
  return {
    ...dispatch,
    async command(command, options) {
      const startedAt = performance.now();
      const settings = { ...continuing(command.traceparent), attributes: commandAttributes(command) };
      try {
        const receipt = await inSpan('facteur.consumer.process_event', settings, async (span) => {
          const received = await dispatch.command({ ...command, traceparent: traceparentFor(command) }, options);
          span.setAttributes(receiptAttributes(received));
          return received;
        });
        metrics.processed(command.name, performance.now() - startedAt);
        return count(command.door, receipt);
      } catch (error) {
        metrics.failed(command.name, error);
        throw error;
      }
    },
    async codexTask(delivery, options) {
      const settings = { ...continuing(delivery.traceparent), attributes: codexAttributes(delivery) };
      const receipt = await inSpan('facteur.orchestrator.implement', settings, async (span) => {
        const received = await dispatch.codexTask({ ...delivery, traceparent: traceparentFor(delivery) }, options);
        span.setAttributes({
          ...receiptAttributes(received),
          'facteur.codex.namespace': received.namespace,
          'facteur.codex.workflow': received.workflowName,
          'facteur.codex.duplicate': received.duplicate,
        });
        return received;
      });
      return count(delivery.door, receipt);
    },
    async retry(runId, options) {
      const attributes = { 'facteur.retry_of': runId };
      const receipt = await inSpan('facteur.dispatch.retry', { attributes }, async (span) => {
        const received = await dispatch.retry(runId, options);
        span.setAttributes(receiptAttributes(received));
        return received;
      });
      return count('retry', receipt);
    },
  };
}

/** Of the span under way; what the sender gave where nothing is traced. */
function traceparentFor({ traceparent }: Pick<Command, 'traceparent'>): string {
  return currentTraceparent() || traceparent;
}

function commandAttributes({ name, door, deliveryId, principal, traceId }: Command): Attributes {
  return {
    'facteur.command': name,
    'facteur.door': door,
    'facteur.delivery_id': deliveryId,
    'facteur.user_id': principal.userId,
    ...(traceId === '' ? {} : { 'facteur.trace_id': traceId }),
  };
}

/** What the Go service's spans say of a task, by the names that they use. */
export function codexAttributes({ task, deliveryId }: CodexDelivery): Attributes {
  return {
    'codex.stage': IMPLEMENTATION,
    'codex.repository': task.repository,
    'codex.issue_number': Number(task.issueNumber),
    'codex.delivery_id': deliveryId,
  };
}

function receiptAttributes(receipt: RunReceipt): Attributes {
  return {
    'facteur.run_id': receipt.runId,
    'facteur.workflow_name': receipt.workflowName,
    'facteur.workflow_namespace': receipt.namespace,
    'facteur.duplicate': receipt.duplicate,
    'facteur.state': receipt.state,
  };
}
