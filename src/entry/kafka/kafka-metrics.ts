import { meter } from '../../base/telemetry.ts';
import type { CommandMetrics } from '../../dispatch/command-metrics.ts';
import type { KafkaEvents } from './events.ts';

/** What the consumer does, as metrics. */
export interface KafkaMetrics extends KafkaEvents {
  /** Ends the gauge of what is not handled yet. */
  stop(): void;
}

/** Codes of errors are few; commands and partitions are bounded by the configuration and the topic. */
export function createKafkaMetrics(topic: string, commands: CommandMetrics): KafkaMetrics {
  const records = meter().createCounter('facteur_consumer_records_total', {
    description: 'Records of the topic that were brought to an end: as a run, a known one, or a dead letter.',
  });
  const retries = meter().createCounter('facteur_consumer_retries_total', {
    description: 'Tries of a record that failed and are repeated, by the code of the error.',
  });
  const commits = meter().createCounter('facteur_consumer_commits_total', {
    description: 'Offsets committed.',
  });
  const lag = meter().createObservableGauge('facteur_consumer_lag_records', {
    description: 'Records that are not handled yet, by partition of ours.',
  });
  let latest: ReadonlyMap<number, bigint> = new Map();
  const observe: Parameters<typeof lag.addCallback>[0] = (result) => {
    for (const [partition, count] of latest) {
      result.observe(Number(count), { topic, partition });
    }
  };
  lag.addCallback(observe);
  return {
    processed: ({ duplicate }) => records.add(1, { outcome: duplicate ? 'duplicate' : 'recorded' }),
    retried: ({ code }) => retries.add(1, { code }),
    deadLettered({ command, to }) {
      records.add(1, { outcome: `dead_lettered_${to}` });
      commands.deadLettered(command);
    },
    committed: ({ partition }) => commits.add(1, { topic, partition }),
    lag(byPartition) {
      latest = byPartition;
    },
    stop: () => lag.removeCallback(observe),
  };
}
