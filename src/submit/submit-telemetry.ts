import { SpanKind, SpanStatusCode, type Attributes } from '@opentelemetry/api';
import { redactText } from '../base/redact.ts';
import { contextOfTraceparent, inSpan, meter, SECONDS } from '../base/telemetry.ts';
import { createMoveCounter } from '../base/telemetry-moves.ts';
import { RUN_MOVES, type RunState } from '../domain/run-state.ts';
import { LABELS } from '../domain/workflow-plan.ts';
import { isToCreate, type ClaimedRun } from '../ledger/submission-queue.ts';

/** How a try ended, as far as it matters here. */
interface Outcome {
  readonly state: RunState;
  readonly reason: string;
  readonly workflowName: string;
}

/** What is measured of submitting. */
export interface SubmitTelemetry {
  /** One try to bring a run to the cluster, or to end it there: a span of the run's own trace. */
  attempt<T extends Outcome>(run: ClaimedRun, work: () => Promise<T>): Promise<T>;
  /** The run is in another state now. */
  moved(run: ClaimedRun, to: RunState, now: Date): void;
}

export function createSubmitTelemetry(): SubmitTelemetry {
  const attempts = meter().createCounter('facteur_submit_attempts_total', {
    description: 'Tries to create a workflow, or to stop one, by the state that the run was in afterwards.',
  });
  for (const state of ['submitted', 'queued', 'refused']) {
    attempts.add(0, { aim: 'create', state });
  }
  const latency = meter().createHistogram('facteur_submit_latency_seconds', {
    unit: 's',
    description: 'From the acceptance of a run to the moment when its workflow was in the cluster.',
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const count = createMoveCounter(RUN_MOVES.queued.map((to) => ['queued', to]));
  return {
    attempt(run, work) {
      const aim = isToCreate(run) ? 'create' : 'stop';
      const name = aim === 'create' ? 'facteur.bridge.dispatch' : 'facteur.bridge.stop';
      const parent = contextOfTraceparent(run.traceparent);
      return inSpan(name, { kind: SpanKind.CLIENT, parent, attributes: attributesOf(run) }, async (span) => {
        const outcome = await work();
        attempts.add(1, { aim, state: outcome.state });
        span.setAttributes({ 'facteur.workflow_name': outcome.workflowName, 'facteur.state': outcome.state });
        if (outcome.reason !== '' && aim === 'create') {
          span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(outcome.reason) });
        }
        return outcome;
      });
    },
    moved(run, to, now) {
      count(run.state, to);
      if (to === 'submitted') {
        latency.record(Math.max(0, now.getTime() - run.acceptedAt.getTime()) / 1000);
      }
    },
  };
}

/** By the names of the Go service's spans, where it has them. */
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
