import { SpanKind, SpanStatusCode, type Attributes } from '@opentelemetry/api';
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { LogFields, Logger } from '../base/logger.ts';
import { counter, histogram } from '../base/metrics.ts';
import { redactText } from '../base/redact.ts';
import { SPANS } from '../base/spans.ts';
import { contextOfTraceparent, inSpan } from '../base/telemetry.ts';
import { traceField } from '../base/traceparent.ts';
import { RUN_MOVES, type RunState } from '../domain/run-state.ts';
import { LABELS } from '../domain/workflow-plan.ts';
import { isToCreate, type ClaimedRun } from '../ledger/submission-queue.ts';

/** The parts of an attempt's result that are logged and counted. */
interface Outcome {
  readonly state: RunState;
  readonly reason: string;
  readonly workflowName: string;
}

/** Nearly every run is submitted immediately, and its log line `run recorded` already names the workflow. */
const MOVE_LEVELS: Partial<Record<RunState, 'warn' | 'debug'>> = { refused: 'warn', submitted: 'debug' };

/** Log lines, metrics and spans of runs on their way to the cluster. */
export class SubmitEvents {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #attempts = counter(
    'facteur_submit_attempts_total',
    ['submitted', 'queued', 'refused'].map((state) => ({ aim: 'create', state })),
  );
  readonly #latency = histogram('facteur_submit_latency_seconds');
  readonly #moves = counter(
    'facteur_run_moves_total',
    RUN_MOVES.queued.map((to) => ({ from: 'queued', to })),
  );

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** An attempt to create or stop a run's workflow, as a span of the run's own trace. */
  attempt<T extends Outcome>(run: ClaimedRun, work: () => Promise<T>): Promise<T> {
    const aim = isToCreate(run) ? 'create' : 'stop';
    const parent = contextOfTraceparent(run.traceparent);
    return inSpan(SPANS[aim], { kind: SpanKind.CLIENT, parent, attributes: attributesOf(run) }, async (span) => {
      const outcome = await work();
      this.#attempts.add(1, { aim, state: outcome.state });
      if (aim === 'create' && outcome.state === 'submitted') {
        // Recorded here, because the follower may be the first to write the state.
        this.#latency.record(Math.max(0, this.#clock.now().getTime() - run.acceptedAt.getTime()) / 1000);
      }
      span.setAttributes({
        'facteur.workflow_name': outcome.workflowName,
        'facteur.workflow_namespace': run.plan.namespace,
        'facteur.state': outcome.state,
      });
      if (outcome.reason !== '' && aim === 'create') {
        span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(outcome.reason) });
      }
      return outcome;
    });
  }

  /** The run has changed its state. */
  runMoved(run: ClaimedRun, { to, reason }: { readonly to: RunState; readonly reason: string }): void {
    this.#moves.add(1, { from: run.state, to });
    this.#logger[MOVE_LEVELS[to] ?? 'info']({ ...idsOf(run), state: to, reason }, 'run moved');
  }

  /** The run is retried after this delay. */
  runPostponed(run: ClaimedRun, delayMs: number, { reason, cause }: { reason: string; cause?: unknown }): void {
    const why = cause === undefined ? { reason } : { reason, cause: errorMessage(cause) };
    this.#logger.warn({ ...idsOf(run), delayMs, attempts: run.attempts, ...why }, 'run postponed');
  }

  /** The run's workflow was told to stop. */
  workflowToldToStop(run: ClaimedRun): void {
    this.#logger.info({ ...idsOf(run), by: run.cancelRequestedBy }, 'workflow stop requested');
  }

  /** A workflow was created that is no longer wanted. */
  workflowLate(run: ClaimedRun, workflow: string, state: RunState): void {
    const what = 'a workflow was created after its run had ended or moved on; stopping it';
    this.#logger.warn({ ...idsOf(run), workflow, state }, what);
  }

  lateWorkflowNotStopped(run: ClaimedRun, { workflowName: workflow, state, reason }: Outcome): void {
    const fields = { ...idsOf(run), workflow, state, reason };
    this.#logger.error(fields, 'could not stop the workflow; stop it manually');
  }

  /** The ledger could not record the result of an attempt. */
  outcomeNotRecorded(run: ClaimedRun, error: unknown): void {
    this.#logger.error({ ...idsOf(run), error: errorMessage(error) }, 'could not record the submission');
  }
}

/** Fields of every log line about a run. */
function idsOf({ traceparent, runId, deliveryId }: ClaimedRun): LogFields {
  return { ...traceField(traceparent), runId, deliveryId };
}

/** Named like the attributes of the Go service's spans, where it has them. */
function attributesOf(run: ClaimedRun): Attributes {
  return {
    'facteur.command': run.plan.labels[LABELS.command] ?? '',
    'facteur.run_id': run.runId,
    'facteur.delivery_id': run.deliveryId,
    'facteur.workflow_template': run.plan.workflowTemplate,
    'facteur.target_namespace': run.plan.namespace,
    'facteur.attempt': run.attempts,
  };
}
