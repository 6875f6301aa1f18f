import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { counter, histogram } from '../base/metrics.ts';
import { SPANS } from '../base/spans.ts';
import { contextOfTraceparent, startSpan } from '../base/telemetry.ts';
import { traceField } from '../base/traceparent.ts';
import { isFinished, RUN_MOVES } from '../domain/run-state.ts';
import type { Observed } from '../ledger/observe-workflows.ts';

/** Log lines, metrics and spans of following workflows. */
export class FollowEvents {
  readonly #logger: Logger;
  readonly #labelOf: (command: string) => string;
  readonly #moves = counter(
    'facteur_run_moves_total',
    (['submitted', 'running'] as const).flatMap((from) => RUN_MOVES[from].map((to) => ({ from, to }))),
  );
  readonly #lag = histogram('facteur_follow_lag_seconds');
  readonly #duration = histogram('facteur_run_duration_seconds');
  readonly #interruptions = counter('facteur_follow_watch_interruptions_total');

  /** @param labelOf the metric label of a command: the number of labels is bounded */
  constructor(logger: Logger, labelOf: (command: string) => string) {
    this.#logger = logger;
    this.#labelOf = labelOf;
  }

  /** The run has changed its state: an event in the run's own trace. */
  runMoved({ runId, name, namespace, from, to, lagMs, command, runtimeMs, traceparent }: Observed): void {
    this.#moves.add(1, { from, to });
    if (runtimeMs !== null) {
      this.#duration.record(Math.max(0, runtimeMs) / 1000, { command: this.#labelOf(command), outcome: to });
    }
    if (lagMs !== null) {
      this.#lag.record(Math.max(0, lagMs) / 1000, { to: isFinished(to) ? 'finished' : to });
    }
    startSpan(SPANS.move, {
      parent: contextOfTraceparent(traceparent),
      attributes: {
        'facteur.run_id': runId,
        'facteur.workflow_name': name,
        'facteur.workflow_namespace': namespace,
        'facteur.from': from,
        'facteur.state': to,
      },
    }).end();
    this.#logger.info({ ...traceField(traceparent), runId, workflow: name, from, to }, 'run moved');
  }

  /** A workflow appeared that is no longer wanted. */
  workflowLate({ runId, name, to, traceparent }: Observed): void {
    const fields = { ...traceField(traceparent), runId, workflow: name, state: to };
    this.#logger.warn(fields, 'a workflow appeared after its run had ended; stopping it');
  }

  /** The follower now watches this namespace. */
  watching(namespace: string): void {
    this.#interruptions.add(0, { workflow_namespace: namespace });
  }

  /** A watch was interrupted, this many times in a row. */
  watchInterrupted(namespace: string, failures: number, error: unknown): void {
    this.#interruptions.add(1, { workflow_namespace: namespace });
    const level = failures === 1 ? 'info' : 'warn';
    this.#logger[level]({ namespace, failures, error: errorMessage(error) }, 'watch interrupted');
  }
}
