import type { Logger } from '../../base/logger.ts';
import type { KafkaClient, PartitionReader } from '../../clients/kafka/client.ts';
import type { ConsumedRecord } from '../../clients/kafka/records.ts';
import type { Queryable } from '../../clients/postgres/database.ts';
import type { ConsumerConfig } from '../../config/config.ts';
import type { Dispatch } from '../../dispatch/dispatch.ts';
import { createConvoy } from '../../ledger/convoy.ts';
import { handleRecord, type HandlerDeps } from './handle-record.ts';
import { inRecordSpan, type KafkaEvents } from './kafka-events.ts';
import { stayMember } from './membership.ts';

interface ConsumerDeps {
  readonly config: ConsumerConfig;
  readonly dispatch: Pick<Dispatch, 'command'>;
  /** For dead letters, and for runs that are recorded together. */
  readonly db: Queryable;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** When it fires, records in flight are finished or handed back. */
  readonly signal: AbortSignal;
  readonly events: KafkaEvents;
  /** Closed at the end. */
  readonly kafka: KafkaClient;
}

const LAG_INTERVAL_MS = 5_000;

/** Delays between attempts for one record: short at first, and never so long that the effect of an outage outlasts it by much. */
const BACKOFF = { firstMs: 100, maxMs: 5_000 };

/**
 * The Kafka door (CONTRACT 5): every record of the topic becomes one run or one dead letter, in the order of its partition, and
 * its offset is committed once that is durable. Resolves when the signal has stopped it.
 *
 * @throws KafkaError when the configuration cannot work, such as refused credentials
 */
export async function runConsumer(deps: ConsumerDeps): Promise<void> {
  const { config, kafka, logger, random, signal, events } = deps;
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
        // A new group must not miss records that were sent before it existed.
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

/**
 * Reads one partition in order. Records that have already arrived are recorded in one statement. If one of them fails, it is
 * retried or parked first, and those after it follow one by one.
 */
async function readPartition(reader: PartitionReader, handler: HandlerDeps): Promise<void> {
  for (let records = await reader.next(); records !== undefined; records = await reader.next()) {
    for (const batch of batchesOf(records)) {
      if (reader.signal.aborted || !(await handleBatch(batch, reader, handler))) {
        return;
      }
    }
  }
}

/** False if the batch was handed back, at least in part. */
async function handleBatch(
  batch: readonly ConsumedRecord[],
  reader: PartitionReader,
  handler: HandlerDeps,
): Promise<boolean> {
  const handled = handleTogether(batch, reader.signal, handler);
  for (const [place, record] of batch.entries()) {
    if (!(await handled[place])) {
      await Promise.all(handled);
      return false;
    }
    reader.handled(record.offset + 1n);
  }
  return true;
}

/** Maximum number of records in one statement, and of bytes of their values; a larger record has its own statement. */
const BATCH_RECORDS = 64;
const BATCH_BYTES = 2 ** 20;

/** Consecutive records that share a statement. */
function batchesOf(records: readonly ConsumedRecord[]): ConsumedRecord[][] {
  const batches: ConsumedRecord[][] = [];
  let bytes = 0;
  for (const record of records) {
    const batch = batches.at(-1);
    bytes += record.value?.length ?? 0;
    if (batch === undefined || batch.length === BATCH_RECORDS || bytes > BATCH_BYTES) {
      batches.push([record]);
      bytes = record.value?.length ?? 0;
    } else {
      batch.push(record);
    }
  }
  return batches;
}

/** For each record, whether it was handled; false also for all records after one that was not. */
function handleTogether(
  batch: readonly ConsumedRecord[],
  signal: AbortSignal,
  handler: HandlerDeps,
): readonly Promise<boolean>[] {
  const places = createConvoy(handler.db, batch.length);
  let turn = Promise.resolve(true);
  return batch.map((record, index) => {
    const place = places[index];
    const before = turn;
    const together = batch.length > 1 && place !== undefined ? { place, turn: before } : undefined;
    turn = inRecordSpan(record, () => handleRecord(record, signal, handler, together));
    // A rejection is handled by the caller that awaits it.
    turn.catch(() => undefined);
    return turn;
  });
}
