import type { Logger } from '../../base/logger.ts';
import type { KafkaClient, PartitionReader } from '../../clients/kafka/client.ts';
import { openKafka } from '../../clients/kafka/open-kafka.ts';
import type { Queryable } from '../../clients/postgres/database.ts';
import type { ConsumerConfig } from '../../config/config.ts';
import type { Dispatch } from '../../dispatch/dispatch.ts';
import { silentKafkaEvents, type KafkaEvents } from './events.ts';
import { handleRecord, type HandlerDeps } from './handle-record.ts';
import { stayMember } from './membership.ts';
import { inRecordSpan } from './record-span.ts';

export interface ConsumerDeps {
  readonly config: ConsumerConfig;
  readonly dispatch: Pick<Dispatch, 'command'>;
  /** For dead letters. */
  readonly db: Queryable;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Aborting it finishes or hands back what is in flight. */
  readonly signal: AbortSignal;
  readonly events?: KafkaEvents;
  /** In place of one that is opened from the configuration. */
  readonly kafka?: KafkaClient;
}

const LAG_INTERVAL_MS = 5_000;

/** Between tries of one record: soon at first, and never so long that an outage is felt much after its end. */
const BACKOFF = { firstMs: 100, maxMs: 5_000 };

/**
 * The Kafka door (CONTRACT 5): every record of the topic becomes one run or one dead letter, in the order of its
 * partition, and its offset is committed after that is durable. Resolves when the signal stopped it.
 *
 * @throws KafkaError when the configuration cannot work, such as refused credentials
 */
export async function runConsumer(deps: ConsumerDeps): Promise<void> {
  const { config, logger, random, signal, events = silentKafkaEvents } = deps;
  const kafka = deps.kafka ?? (await openKafka({ config, random }));
  const handler: HandlerDeps = {
    ...{ dispatch: deps.dispatch, db: deps.db, kafka, logger, events, random },
    dlqTopic: config.dlq.enabled ? config.dlq.topic : undefined,
    maxAttempts: config.maxAttempts,
    backoff: BACKOFF,
  };
  const lagTimer = setInterval(() => events.lag(kafka.lag()), LAG_INTERVAL_MS);
  logger.info({ topic: config.topic, group: config.groupId, brokers: config.brokers }, 'consuming');
  try {
    await stayMember(
      {
        ...{ topic: config.topic, groupId: config.groupId, signal },
        ...{ minBytes: config.minBytes, maxBytes: config.maxBytes, maxWaitMs: config.maxWaitMs },
        // A group that is new must not miss what was sent before it came.
        startAt: 'earliest',
        onPartition: (reader) => readPartition(reader, handler),
      },
      { kafka, logger, random, committed: (partition, offset) => events.committed({ partition, offset }) },
    );
  } finally {
    clearInterval(lagTimer);
    events.lag(new Map());
    await kafka.close();
    logger.info({ topic: config.topic }, 'consumer stopped');
  }
}

/** One partition, one record after the other: while one waits for its next try, those behind it wait too. */
async function readPartition(reader: PartitionReader, handler: HandlerDeps): Promise<void> {
  for (let records = await reader.next(); records !== undefined; records = await reader.next()) {
    for (const record of records) {
      if (reader.signal.aborted || !(await inRecordSpan(record, () => handleRecord(record, reader.signal, handler)))) {
        return;
      }
      reader.handled(record.offset + 1n);
    }
  }
}
