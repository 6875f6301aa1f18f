import type { Attributes, Counter, Histogram, ObservableGauge } from '@opentelemetry/api';
import { meter } from './telemetry.ts';

/**
 * Every metric of facteur by its public name, which is a contract; `docs/metrics.md` explains them. Names with dots follow
 * https://opentelemetry.io/docs/specs/semconv/.
 */
export const METRICS = {
  facteur_command_events_processed_total: 'Command events that became a run or were duplicates.',
  facteur_command_events_failed_total: 'Failed attempts to process a command event.',
  facteur_command_events_dlq_total: 'Command events that were dead-lettered.',
  facteur_command_events_duration_ms: 'Processing time of a command event, including the wait for its submission.',
  facteur_runs_recorded_total: 'Deliveries in the ledger, by door; duplicates were already there.',
  facteur_run_moves_total: 'State changes of runs, as recorded in the ledger.',
  facteur_run_duration_seconds: 'Time from the start to the end of a workflow, by command and outcome.',
  facteur_submit_attempts_total: 'Attempts to create or stop a workflow, by the state of the run afterwards.',
  facteur_submit_latency_seconds: 'Time from the acceptance of a run to its workflow in the cluster.',
  facteur_lease_held: 'Whether this process holds the lease; one process at a time does.',
  facteur_follow_lag_seconds: "Delay from the cluster's timestamp for the start or end of a workflow to the ledger.",
  facteur_follow_watch_interruptions_total: 'Interrupted watches of workflows.',
  facteur_notify_messages_total: 'Attempts to update the message of a run, by outcome.',
  facteur_consumer_records_total: 'Handled records of the topic: a run, a duplicate, or a dead letter.',
  facteur_consumer_retries_total: 'Failed attempts that are retried, by error code.',
  facteur_consumer_commits_total: 'Offsets committed.',
  facteur_consumer_lag_records: 'Unhandled records in the partitions of this process.',
  facteur_reflections_saved_total: 'Reflections that were saved, by type.',
  facteur_reflections_retrieved_total: 'Reflections that a search found.',
  facteur_anomaly_checks_total: 'Results of anomaly checks that workflows reported.',
  facteur_retrievals_total: 'Searches for reflections on behalf of runs, by what came of it.',
  facteur_dependency_up: 'Whether the dependency answers.',
  facteur_queue_runs: 'Runs that are not in the cluster yet.',
  facteur_queue_oldest_seconds: 'Age of the oldest of these runs.',
  facteur_live_runs: 'Runs in the cluster that have not ended.',
  facteur_messages_due: 'Messages that are out of date.',
  facteur_messages_oldest_due_seconds: 'Age of the oldest of these messages.',
  facteur_approvals_waiting: 'Approvals that nobody has decided.',
  facteur_approvals_oldest_seconds: 'Age of the oldest of these approvals.',
  facteur_approvals_undecidable: 'Those of them that nobody may decide in Discord.',
  facteur_approvals_total: 'Approvals that were decided, by command and outcome.',
  facteur_approval_decision_seconds: 'Time from the request of an approval to its decision.',
  facteur_dead_letters: 'Dead letters that were neither replayed nor dropped.',
  facteur_template_commands: 'Commands that WorkflowTemplates ask for, by whether they exist.',
  facteur_registered_commands:
    'Commands that are registered with Discord as they should be, in the process that sees to it.',
  facteur_command_syncs_total: 'Syncs of slash commands with Discord, by outcome; none while nothing changes.',
  facteur_worker_failures_total: 'Failed passes of background workers.',
  'http.server.request.duration': 'Duration of HTTP server requests.',
  'http.client.request.duration': 'Duration of HTTP client requests.',
  'db.client.operation.duration': 'Duration of database client operations.',
  'db.client.connection.wait_time': 'The time it took to obtain an open connection from the pool.',
} as const;

export type MetricName = keyof typeof METRICS;

/** Bucket bounds in seconds: those of the HTTP conventions, and more for operations that take minutes. */
const SECONDS: number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

/** @param expected series to create at zero, because a series that begins with its first event shows no increase */
export function counter(name: MetricName, expected: readonly Attributes[] = []): Counter {
  const made = meter().createCounter(name, { description: METRICS[name] });
  for (const series of expected) {
    made.add(0, series);
  }
  return made;
}

export function histogram(name: MetricName): Histogram {
  const unit = unitOf(name);
  const advice = unit === 's' ? { advice: { explicitBucketBoundaries: SECONDS } } : {};
  return meter().createHistogram(name, { description: METRICS[name], unit, ...advice });
}

/** A gauge that is read at each collection. */
export function gauge(name: MetricName): ObservableGauge {
  return meter().createObservableGauge(name, { description: METRICS[name], unit: unitOf(name) });
}

/** The conventions measure time in seconds; facteur's own names contain the unit. */
export function unitOf(name: MetricName): 's' | 'ms' | '' {
  if (name.endsWith('_ms')) {
    return 'ms';
  }
  return name.endsWith('_seconds') || name.includes('.') ? 's' : '';
}
