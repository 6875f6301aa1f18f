import { errorMessage } from '../base/errors.ts';
import type { LogFields, Logger } from '../base/logger.ts';
import { counter, histogram } from '../base/metrics.ts';
import { traceField } from '../base/traceparent.ts';
import type { ClaimedDecision, Settlement } from '../ledger/approval-queue.ts';

/** Log lines and metrics of decisions on their way into workflows. */
export class DecideEvents {
  readonly #logger: Logger;
  readonly #decisions = counter('facteur_approvals_total');
  readonly #latency = histogram('facteur_approval_decision_seconds');

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** An attempt to apply a decision has ended. */
  settled(decision: ClaimedDecision, settlement: Settlement): void {
    const { command, decidedAt, requestedAt, attempts } = decision;
    if (settlement.kind === 'postponed') {
      const { reason, delayMs } = settlement;
      this.#logger.warn({ ...idsOf(decision), reason, delayMs, attempts }, 'decision not applied yet');
      return;
    }
    const outcome = settlement.kind === 'gone' ? 'gone' : decision.verdict;
    this.#decisions.add(1, { command, outcome });
    this.#latency.record(Math.max(0, decidedAt.getTime() - requestedAt.getTime()) / 1000, { command });
    const why = settlement.kind === 'gone' ? { reason: settlement.reason } : {};
    this.#logger.info({ ...idsOf(decision), outcome, ...why }, 'decision applied');
  }

  /** The ledger could not record the result of an attempt: it is retried. */
  notRecorded(decision: ClaimedDecision, error: unknown): void {
    const fields = { ...idsOf(decision), error: errorMessage(error) };
    this.#logger.error(fields, 'could not record whether the decision was applied');
  }
}

function idsOf({ traceparent, runId, node, verdict, decidedBy }: ClaimedDecision): LogFields {
  return { ...traceField(traceparent), runId, node, verdict, by: decidedBy };
}
