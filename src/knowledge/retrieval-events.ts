import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { counter } from '../base/metrics.ts';
import { traceField } from '../base/traceparent.ts';
import { RETRIEVAL_STRATEGIES, type RetrievalStrategy } from '../domain/retrieval.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';

/** Log lines and metrics of retrieving reflections for runs. */
export class RetrievalEvents {
  readonly #logger: Logger;
  readonly #retrievals = counter(
    'facteur_retrievals_total',
    RETRIEVAL_STRATEGIES.map((strategy) => ({ strategy })),
  );

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  decided(strategy: RetrievalStrategy): void {
    this.#retrievals.add(1, { strategy });
  }

  tookTooLong(run: ClaimedRun): void {
    this.#logger.warn(idsOf(run), 'the search for reflections timed out; the run is submitted without');
  }

  failed(run: ClaimedRun, error: unknown): void {
    const fields = { ...idsOf(run), error: errorMessage(error) };
    this.#logger.warn(fields, 'the search for reflections failed; the run is submitted without');
  }

  lateDecisionNotRecorded(runId: string, error: unknown): void {
    this.#logger.warn({ runId, error: errorMessage(error) }, 'could not record that a run received no reflections');
  }
}

function idsOf({ traceparent, runId }: ClaimedRun) {
  return { ...traceField(traceparent), runId };
}
