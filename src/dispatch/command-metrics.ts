import { meter } from '../base/telemetry.ts';

/** Counts of command events. The names are those of the Go service, so that its dashboards go on. */
export interface CommandMetrics {
  /** An event became a run, or was one already. */
  processed(command: string, durationMs: number): void;
  /** A try failed, whether or not there will be another. The same error counts once, whoever reports it. */
  failed(command: string, error: unknown): void;
  /** An event will never be a run, and is kept. */
  deadLettered(command: string): void;
}

/** @param commands what the configuration defines: whatever else callers make up is one series */
export function createCommandMetrics(commands: Readonly<Record<string, unknown>>): CommandMetrics {
  const processed = meter().createCounter('facteur_command_events_processed_total', {
    description: 'Command events that became a run, or were one already.',
  });
  const failed = meter().createCounter('facteur_command_events_failed_total', {
    description: 'Tries to process a command event that failed.',
  });
  const dlq = meter().createCounter('facteur_command_events_dlq_total', {
    description: 'Command events that were dead-lettered.',
  });
  const duration = meter().createHistogram('facteur_command_events_duration_ms', {
    unit: 'ms',
    description: 'How long processing a command event took, the wait for its submission included.',
  });
  // From the start, since a series that begins with its first failure shows no increase.
  for (const command of [...Object.keys(commands), UNKNOWN, OTHER]) {
    for (const counter of [processed, failed, dlq]) {
      counter.add(0, { command });
    }
  }
  const counted = new WeakSet();
  const labels = (command: string): { command: string } => ({ command: commandLabel(command, commands) });
  return {
    processed(command, durationMs) {
      processed.add(1, labels(command));
      duration.record(durationMs, labels(command));
    },
    failed(command, error) {
      if (typeof error === 'object' && error !== null && !counted.has(error)) {
        counted.add(error);
        failed.add(1, labels(command));
      }
    },
    deadLettered: (command) => dlq.add(1, labels(command)),
  };
}

const UNKNOWN = '(unknown)';
const OTHER = '(other)';

/** `(unknown)` when nobody knows the command, `(other)` when it is none of the configuration's. */
export function commandLabel(command: string, commands: Readonly<Record<string, unknown>>): string {
  const name = command.trim().toLowerCase();
  if (name === '') {
    return UNKNOWN;
  }
  return Object.hasOwn(commands, name) ? name : OTHER;
}
