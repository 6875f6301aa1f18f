import { meter } from '../../base/telemetry.ts';
import type { CommandMetrics } from '../../dispatch/command-metrics.ts';
import type { KafkaEvents } from './events.ts';

/** What the consumer does, as metrics. Codes of errors are few; commands and partitions have their bounds elsewhere. */
export function createKafkaMetrics(topic: string, commands: CommandMetrics): KafkaEvents {
  const records = meter().createCounter('facteur_consumer_records_total', {
    description: 'Records of the topic that were brought to an end: as a run, a known one, or a dead letter.',
  });
  for (const outcome of ['recorded', 'duplicate', 'dead_lettered_topic', 'dead_lettered_table']) {
    records.add(0, { outcome });
  }
  const retries = meter().createCounter('facteur_consumer_retries_total', {
    description: 'Tries of a record that failed and are repeated, by the code of the error.',
  });
  const commits = meter().createCounter('facteur_consumer_commits_total', {
    description: 'Offsets committed.',
  });
  const lag = meter().createObservableGauge('facteur_consumer_lag_records', {
    description: 'Records that are not handled yet, by partition of ours.',
  });
  // A gauge keeps what it was told last, so a partition that is no longer ours has to be told of, too.
  const latest = new Map<number, bigint>();
  lag.addCallback((result) => {
    for (const [partition, count] of latest) {
      result.observe(Number(count), { topic, partition });
    }
  });
  return {
    processed: ({ duplicate }) => records.add(1, { outcome: duplicate ? 'duplicate' : 'recorded' }),
    retried: ({ code }) => retries.add(1, { code }),
    deadLettered({ command, to }) {
      records.add(1, { outcome: `dead_lettered_${to}` });
      if (command === '') {
        // It could not be read, so nobody further in has counted it.
        commands.failed(command, {});
      }
      commands.deadLettered(command);
    },
    committed: ({ partition }) => commits.add(1, { topic, partition }),
    lag(byPartition) {
      for (const partition of new Set([...latest.keys(), ...byPartition.keys()])) {
        latest.set(partition, byPartition.get(partition) ?? 0n);
      }
    },
  };
}
