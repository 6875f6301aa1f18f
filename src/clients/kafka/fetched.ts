import type { Consumer } from '@platformatic/kafka';
import type { FetchedBatch } from './partition-queue.ts';
import type { ConsumedRecord } from './records.ts';

/** The library's answer to a fetch. */
export type FetchAnswer = Awaited<ReturnType<Consumer['fetch']>>;
export type FetchedPartition = FetchAnswer['responses'][number]['partitions'][number];
type RecordsBatch = NonNullable<FetchedPartition['records']>[number];

/** Bits of a batch's attributes: part of a transaction; a control batch, in which the broker notes how a transaction ended. */
const IS_TRANSACTIONAL = 1 << 4;
const IS_CONTROL = 1 << 5;
/** Offset of the type in the key of a control record, and the type of an abort. */
const CONTROL_TYPE_AT = 2;
const ABORTED = 0;

/** Approximate memory of one record besides its bytes. */
const RECORD_OVERHEAD = 200;

/**
 * The records from `from` on. Batches are stored as they were sent, so a fetch may begin with records before the
 * requested one.
 */
export function readPartition(topic: string, from: bigint, fetched: FetchedPartition): FetchedBatch {
  const batches = fetched.records ?? [];
  const records = withoutAborted(batches, fetched.abortedTransactions ?? [])
    .flatMap((batch) => recordsOf(topic, fetched.partitionIndex, batch))
    .filter((record) => record.offset >= from);
  return {
    records,
    bytes: records.reduce((sum, record) => sum + bytesOf(record), 0),
    next: batches.map(offsetAfter).reduce((next, after) => (after > next ? after : next), from),
    end: fetched.highWatermark,
  };
}

/**
 * The batches with records that count. The library leaves out some of the aborted ones: of each producer only those of its
 * last transaction, and only if that one ends within this answer.
 */
function withoutAborted(
  batches: readonly RecordsBatch[],
  aborted: NonNullable<FetchedPartition['abortedTransactions']>,
): RecordsBatch[] {
  const ahead = aborted.toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1));
  const aborting = new Set<bigint>();
  return batches.filter((batch) => {
    for (let next = ahead[0]; next !== undefined && next.firstOffset < offsetAfter(batch); next = ahead[0]) {
      aborting.add(next.producerId);
      ahead.shift();
    }
    if ((batch.attributes & IS_CONTROL) !== 0) {
      if (batch.records[0]?.key?.readInt16BE(CONTROL_TYPE_AT) === ABORTED) {
        aborting.delete(batch.producerId);
      }
      return false;
    }
    return (batch.attributes & IS_TRANSACTIONAL) === 0 || !aborting.has(batch.producerId);
  });
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
