import { SpanKind } from '@opentelemetry/api';
import { counter, gauge } from '../../base/metrics.ts';
import { SPANS } from '../../base/spans.ts';
import { contextOf, inSpan } from '../../base/telemetry.ts';
import type { ConsumedRecord } from '../../clients/kafka/records.ts';
import type { DispatchEvents } from '../../dispatch/dispatch-events.ts';
import { incomingOf } from './incoming.ts';

/** Events of records, reported by the consumer. None of these may throw. `command` is empty if it could not be decoded. */
export interface KafkaEvents {
  /** A record became a run, or already was one. */
  processed(event: { command: string; duplicate: boolean; durationMs: number }): void;
  /** An attempt failed and will be retried. `code` is the code of the error. */
  retried(event: { command: string; code: string }): void;
  /** A record can never become a run. */
  deadLettered(event: { command: string; code: string; to: 'topic' | 'table'; durationMs: number }): void;
  /** Everything below `offset` has been handled. */
  committed(event: { partition: number; offset: bigint }): void;
  /** The number of unhandled records by assigned partition; every few seconds, and empty at the end. */
  lag(byPartition: ReadonlyMap<number, bigint>): void;
}

const OUTCOMES = ['recorded', 'duplicate', 'dead_lettered_topic', 'dead_lettered_table'];

/** Counts these events. Codes of errors are few; commands and partitions are bounded elsewhere. */
export function createKafkaEvents(
  topic: string,
  commands: Pick<DispatchEvents, 'commandFailed' | 'commandDeadLettered'>,
): KafkaEvents {
  const records = counter(
    'facteur_consumer_records_total',
    OUTCOMES.map((outcome) => ({ outcome })),
  );
  const retries = counter('facteur_consumer_retries_total');
  const commits = counter('facteur_consumer_commits_total');
  // A gauge keeps its last value, so partitions that are no longer assigned need an update too.
  const latest = new Map<number, bigint>();
  gauge('facteur_consumer_lag_records').addCallback((result) => {
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
        // It could not be decoded, so nothing else has counted it.
        commands.commandFailed(command, {});
      }
      commands.commandDeadLettered(command);
    },
    committed: ({ partition }) => commits.add(1, { topic, partition }),
    lag(byPartition) {
      for (const partition of new Set([...latest.keys(), ...byPartition.keys()])) {
        latest.set(partition, byPartition.get(partition) ?? 0n);
      }
    },
  };
}

/**
 * Handles a record in a consumer span, which continues the trace of its headers. Attributes follow
 * https://opentelemetry.io/docs/specs/semconv/messaging/kafka/.
 */
export function inRecordSpan<T>(record: ConsumedRecord, work: () => Promise<T>): Promise<T> {
  const { headers } = incomingOf(record);
  const parent = contextOf({ ...headers, traceparent: headers['traceparent'] ?? headers['ce-traceparent'] });
  const attributes = {
    'messaging.system': 'kafka',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': record.topic,
    'messaging.destination.partition.id': String(record.partition),
    'messaging.kafka.offset': Number(record.offset),
  };
  return inSpan(SPANS.record(record.topic), { kind: SpanKind.CONSUMER, parent, attributes }, work);
}
