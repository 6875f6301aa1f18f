import { type KafkaRecord, readRecord } from '@platformatic/kafka';
import { errorMessage } from '../../base/errors.ts';
import { decompress } from './decompress.ts';
import { KafkaError } from './errors.ts';
import type { FetchedPartition } from './fetcher.ts';
import type { FetchedBatch } from './partition-queue.ts';
import { MAX_HEADERS, RecordReader } from './record-reader.ts';
import type { ConsumedRecord } from './records.ts';
import { FORMAT, storedBatches, type StoredBatch } from './stored-batch.ts';

export interface ReadLimits {
  /** Room for the records of this answer. */
  readonly bytes: number;
  /** Takes the first record even if it is larger. */
  readonly atLeastOne: boolean;
  /** A batch that grows beyond this is not read at all. */
  readonly batchBytes: number;
}

/** Where the records are. */
interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly from: bigint;
}

/** Some records of a batch, and the first one that had no room. */
interface Part {
  readonly records: readonly ConsumedRecord[];
  readonly bytes: number;
  readonly rest?: { readonly offset: bigint; readonly bytes: number };
}

/** Bits of a batch's attributes: its compression; part of a transaction; a control batch, in which the broker notes how a transaction ended. */
const COMPRESSION = 0b111;
const IS_TRANSACTIONAL = 1 << 4;
const IS_CONTROL = 1 << 5;

/** Approximate memory of one record, and of one header, besides its bytes. */
const RECORD_OVERHEAD = 200;
const HEADER_OVERHEAD = 200;

/** The records from `from` on that have room. Batches are stored as sent, so a fetch may begin with earlier records. */
export function readPartition(
  topic: string,
  from: bigint,
  fetched: FetchedPartition,
  limits: ReadLimits,
): FetchedBatch {
  const records: ConsumedRecord[] = [];
  let [bytes, next, needs] = [0, from, 0];
  for (const batch of withoutAborted(storedBatches(fetched.log, fetched.end), fetched.aborted)) {
    if (bytes >= limits.bytes && records.length > 0) {
      break;
    }
    const room = { bytes: limits.bytes - bytes, atLeastOne: limits.atLeastOne && records.length === 0 };
    const part = batch.counts
      ? readBatch(batch.stored, { topic, partition: fetched.partition, from: next }, { ...limits, ...room })
      : NOTHING;
    records.push(...part.records);
    bytes += part.bytes;
    if (part.rest !== undefined) {
      next = part.rest.offset;
      needs = part.rest.bytes;
      break;
    }
    next = offsetAfter(batch.stored, next);
  }
  return { records, bytes, next, needs: records.length === 0 ? needs : 0, end: fetched.end };
}

const NOTHING: Part = { records: [], bytes: 0 };

/** The batches, and whether their records count: those of an aborted transaction do not. */
function* withoutAborted(
  batches: readonly StoredBatch[],
  aborted: FetchedPartition['aborted'],
): Generator<{ readonly stored: StoredBatch; readonly counts: boolean }> {
  const ahead = aborted.toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1));
  const aborting = new Set<bigint>();
  for (const stored of batches) {
    for (let next = ahead[0]; next !== undefined && next.firstOffset <= stored.lastOffset; next = ahead[0]) {
      aborting.add(next.producerId);
      ahead.shift();
    }
    const isControl = (stored.attributes & IS_CONTROL) !== 0;
    if (isControl) {
      // A control batch ends its producer's latest transaction.
      aborting.delete(stored.producerId);
    }
    const isAborted = (stored.attributes & IS_TRANSACTIONAL) !== 0 && aborting.has(stored.producerId);
    yield { stored, counts: !isControl && !isAborted };
  }
}

/** The records of one batch. An unreadable batch becomes a single record that says so, at the offset of its last one. */
function readBatch(batch: StoredBatch, place: Place, limits: ReadLimits): Part {
  try {
    const reader = plainReader(batch, limits.batchBytes);
    const part = takeRecords(batch, reader, place, limits);
    // Copies, because the taken records would keep the rest of the batch in memory.
    return reader.length > part.bytes ? { ...part, records: part.records.map(ownCopy) } : part;
  } catch (error) {
    const first = batch.firstOffset > place.from ? batch.firstOffset : place.from;
    const which = first === batch.lastOffset ? `record ${first}` : `records ${first} to ${batch.lastOffset}`;
    const unreadable = new KafkaError('kafka.unreadable', `${which} cannot be read: ${errorMessage(error)}`, error);
    const { topic, partition } = place;
    const nothing = { key: null, value: null, headers: [], timestampMs: Number(batch.maxTimestamp) };
    return {
      records: [{ topic, partition, offset: batch.lastOffset, ...nothing, unreadable }],
      bytes: RECORD_OVERHEAD,
    };
  }
}

function plainReader(batch: StoredBatch, batchBytes: number): RecordReader {
  if (batch.format !== FORMAT) {
    throw new Error(`the batch has the message format ${batch.format}, which is not supported`);
  }
  if (!batch.isIntact) {
    throw new Error('the batch does not match its checksum');
  }
  return RecordReader.of(decompress(batch.attributes & COMPRESSION, batch.data, batchBytes));
}

function takeRecords(
  batch: StoredBatch,
  reader: RecordReader,
  { topic, partition, from }: Place,
  limits: ReadLimits,
): Part {
  const records: ConsumedRecord[] = [];
  let bytes = 0;
  for (const record of recordsOf(batch, reader)) {
    const offset = batch.firstOffset + BigInt(record.offsetDelta);
    if (offset >= from) {
      const size = RECORD_OVERHEAD + record.length + HEADER_OVERHEAD * record.headers.length;
      if (bytes + size > limits.bytes && !(limits.atLeastOne && records.length === 0)) {
        return { records, bytes, rest: { offset, bytes: size } };
      }
      const timestampMs = Number(batch.firstTimestamp + record.timestampDelta);
      const { key, value } = record;
      records.push({
        ...{ topic, partition, offset, timestampMs, key, value, headers: headersOf(record) },
        ...(reader.hasTooManyHeaders ? { unreadable: tooManyHeaders(offset) } : {}),
      });
      bytes += size;
    }
  }
  return { records, bytes };
}

function* recordsOf(batch: StoredBatch, reader: RecordReader): Generator<KafkaRecord> {
  for (let index = 0; index < batch.count; index += 1) {
    const before = reader.position;
    const end = reader.readVarInt() + reader.position;
    reader.position = before;
    const record = readRecord(reader);
    if (reader.hasTooManyHeaders) {
      reader.position = Math.min(end, reader.length);
    }
    // A negative length would move the reader back.
    if (reader.position <= before || record.length <= 0) {
      throw new RangeError('a record is damaged');
    }
    yield record;
  }
}

/** The error for one record; other records of the batch are still read. */
function tooManyHeaders(offset: bigint): KafkaError {
  return new KafkaError('kafka.unreadable', `record ${offset} cannot be read: it has more than ${MAX_HEADERS} headers`);
}

function headersOf({ headers }: KafkaRecord): ConsumedRecord['headers'] {
  return headers.map(([name, value]) => [name?.toString('utf8') ?? '', value] as const);
}

function ownCopy(record: ConsumedRecord): ConsumedRecord {
  return {
    ...record,
    key: record.key && Buffer.from(record.key),
    value: record.value && Buffer.from(record.value),
    headers: record.headers.map(([name, value]) => [name, value && Buffer.from(value)] as const),
  };
}

function offsetAfter(batch: StoredBatch, from: bigint): bigint {
  return batch.lastOffset >= from ? batch.lastOffset + 1n : from;
}
