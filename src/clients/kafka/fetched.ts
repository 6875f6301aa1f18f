import type { Consumer } from '@platformatic/kafka';
import type { FetchedBatch } from './partition-queue.ts';
import type { ConsumedRecord } from './records.ts';

/** The library's answer to a fetch. */
export type FetchAnswer = Awaited<ReturnType<Consumer['fetch']>>;
export type FetchedPartition = FetchAnswer['responses'][number]['partitions'][number];
type RecordsBatch = NonNullable<FetchedPartition['records']>[number];

/** Bit of a batch's attributes that marks it as one of the brokers' own notes about transactions. */
const IS_CONTROL = 1 << 5;

/** Approximate memory of one record besides its bytes. */
const RECORD_OVERHEAD = 200;

/**
 * The records from `from` on. Batches are stored as they were sent, so a fetch may begin with records before the
 * requested one.
 */
export function readPartition(topic: string, from: bigint, fetched: FetchedPartition): FetchedBatch {
  const batches = fetched.records ?? [];
  const records = batches
    .filter((batch) => (batch.attributes & IS_CONTROL) === 0)
    .flatMap((batch) => recordsOf(topic, fetched.partitionIndex, batch))
    .filter((record) => record.offset >= from);
  return {
    records,
    bytes: records.reduce((sum, record) => sum + bytesOf(record), 0),
    next: batches.map(offsetAfter).reduce((next, after) => (after > next ? after : next), from),
    end: fetched.highWatermark,
  };
}

function recordsOf(topic: string, partition: number, batch: RecordsBatch): ConsumedRecord[] {
  return batch.records.map((record) => ({
    topic,
    partition,
    offset: batch.firstOffset + BigInt(record.offsetDelta),
    timestampMs: Number(batch.firstTimestamp + record.timestampDelta),
    key: record.key,
    value: record.value,
    headers: record.headers.map(([name, value]) => [name?.toString('utf8') ?? '', value ?? Buffer.alloc(0)] as const),
  }));
}

function offsetAfter(batch: RecordsBatch): bigint {
  return batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n;
}

function bytesOf({ key, value }: ConsumedRecord): number {
  return RECORD_OVERHEAD + (key?.length ?? 0) + (value?.length ?? 0);
}
