import { expect, test } from 'vitest';
import { testConfig } from '../../../test/support/facteur.ts';
import { RECEIPT } from '../../../test/support/http-door.ts';
import { kafkaRecord } from '../../../test/support/kafka-record.ts';
import { startTestTelemetry } from '../../../test/support/telemetry.ts';
import { silentLogger } from '../../base/logger.ts';
import type { ConsumeOptions, KafkaClient } from '../../clients/kafka/client.ts';
import type { ConsumedRecord } from '../../clients/kafka/records.ts';
import { DispatchEvents } from '../../dispatch/dispatch-events.ts';
import type { Dispatch } from '../../dispatch/dispatch.ts';
import { runConsumer } from './consumer.ts';
import { createKafkaEvents } from './kafka-events.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const RECORDS = [
  kafkaRecord({
    offset: 4n,
    value: Buffer.from('{"command":"plan","interactionId":"1"}'),
    headers: [['traceparent', `00-${TRACE}-00f067aa0ba902b7-01`]],
  }),
  kafkaRecord({ offset: 5n, value: Buffer.from('{"command":"made-up","interactionId":"2"}') }),
  kafkaRecord({ offset: 6n, value: Buffer.from('{"command":') }),
];

/** A broker with these records in its only partition. It stops the consumer when they are handled. */
function brokerWith(records: readonly ConsumedRecord[], stop: AbortController): KafkaClient {
  return {
    async consume({ onPartition, events, signal }: ConsumeOptions) {
      events.assigned([0]);
      let handed = false;
      await onPartition({
        ...{ topic: 'commands', partition: 0, signal },
        next: async () => (handed ? undefined : ((handed = true), records)),
        handled: (offset) => events.committed(0, offset),
      });
      stop.abort();
    },
    produce: async () => undefined,
    lag: () => new Map([[0, 3n]]),
    isUp: () => true,
    close: async () => undefined,
  };
}

test('each record is a span in its sender’s trace, and its outcome is counted', async () => {
  const { receiver, scrape, end } = await startTestTelemetry();
  const { consumer, commands } = await testConfig({
    FACTEUR_CONSUMER_ENABLED: 'true',
    FACTEUR_CONSUMER_BROKERS: 'localhost:9092',
    FACTEUR_CONSUMER_TOPIC: 'commands',
    FACTEUR_CONSUMER_GROUP_ID: 'facteur',
  });
  const dispatchEvents = new DispatchEvents(() => ({ commands, roleMap: {} }), silentLogger);
  const dispatch: Pick<Dispatch, 'command'> = {
    command: (command) => dispatchEvents.command(command, async () => RECEIPT),
  };
  const events = createKafkaEvents('commands', dispatchEvents);
  const stop = new AbortController();
  await runConsumer({
    ...{ config: consumer, dispatch, logger: silentLogger, random: () => 0, events, signal: stop.signal },
    db: { query: async () => ({ rows: [], rowCount: 1 }) },
    kafka: brokerWith(RECORDS, stop),
  });
  events.lag(
    new Map([
      [0, 3n],
      [1, 0n],
    ]),
  );
  const text = await scrape();
  events.lag(new Map([[1, 7n]]));
  const later = await scrape();
  await end();

  for (const line of [
    'facteur_consumer_records_total{outcome="recorded"} 2',
    'facteur_consumer_records_total{outcome="dead_lettered_table"} 1',
    'facteur_consumer_commits_total{topic="commands",partition="0"} 3',
    'facteur_consumer_lag_records{topic="commands",partition="0"} 3',
    'facteur_command_events_processed_total{command="plan"} 1',
    'facteur_command_events_processed_total{command="(other)"} 1',
    'facteur_command_events_failed_total{command="(unknown)"} 1',
    'facteur_command_events_dlq_total{command="(unknown)"} 1',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
  // A partition that is no longer assigned has no lag here.
  expect(later).toContain('facteur_consumer_lag_records{topic="commands",partition="0"} 0');
  expect(later).toContain('facteur_consumer_lag_records{topic="commands",partition="1"} 7');
  const [first, ...others] = receiver.spansOf('process commands');
  expect(others).toHaveLength(2);
  expect(first).toMatchObject({
    kind: 5,
    traceId: TRACE,
    attributes: { 'messaging.system': 'kafka', 'messaging.destination.name': 'commands', 'messaging.kafka.offset': 4 },
  });
  expect(receiver.spansOf('facteur.consumer.process_event')[0]).toMatchObject({
    traceId: TRACE,
    parentSpanId: first?.spanId,
  });
});
