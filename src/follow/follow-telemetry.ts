import { contextOfTraceparent, meter, SECONDS, startSpan } from '../base/telemetry.ts';
import { createMoveCounter } from '../base/telemetry-moves.ts';
import { isFinished, RUN_MOVES } from '../domain/run-state.ts';
import type { Observed } from '../ledger/observe-workflows.ts';

/** What is measured of following. */
export interface FollowTelemetry {
  /** A run is in another state now: a mark in the run's own trace. */
  moved(change: Observed): void;
  /** A namespace is followed from now on. */
  watching(namespace: string): void;
  /** A watch broke. */
  interrupted(namespace: string): void;
}

export function createFollowTelemetry(): FollowTelemetry {
  const count = createMoveCounter(
    (['submitted', 'running'] as const).flatMap((from) => RUN_MOVES[from].map((to) => [from, to] as const)),
  );
  const lag = meter().createHistogram('facteur_follow_lag_seconds', {
    unit: 's',
    description: 'From what the cluster says of when a workflow began or ended to when the ledger knew.',
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const interruptions = meter().createCounter('facteur_follow_watch_interruptions_total', {
    description: 'Watches of workflows that broke.',
  });
  return {
    moved({ runId, name, namespace, from, to, lagMs, traceparent }) {
      count(from, to);
      if (lagMs !== undefined) {
        lag.record(Math.max(0, lagMs) / 1000, { to: isFinished(to) ? 'finished' : to });
      }
      startSpan('facteur.follow.move', {
        parent: contextOfTraceparent(traceparent),
        attributes: {
          'facteur.run_id': runId,
          'facteur.workflow_name': name,
          'facteur.workflow_namespace': namespace,
          'facteur.from': from,
          'facteur.state': to,
        },
      }).end();
    },
    watching: (namespace) => interruptions.add(0, { namespace }),
    interrupted: (namespace) => interruptions.add(1, { namespace }),
  };
}
