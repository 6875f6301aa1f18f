/**
 * A batch of records as the log has it, its records maybe compressed:
 * https://kafka.apache.org/documentation/#recordbatch.
 */
export interface StoredBatch {
  readonly firstOffset: bigint;
  /** Of its last record, which compaction may have removed. */
  readonly lastOffset: bigint;
  readonly format: number;
  readonly attributes: number;
  readonly firstTimestamp: bigint;
  readonly maxTimestamp: bigint;
  readonly producerId: bigint;
  readonly count: number;
  readonly data: Buffer;
}

/** The format of batches since Kafka 0.11; the older ones are single messages. */
export const FORMAT = 2;

/** Bytes before those that the length counts, up to the format, and before the records. */
const UNCOUNTED = 12;
const HEAD = 17;
const HEADER = 61;

/** The batches of a fetched part of the log. Its end may cut the last one, which is left out. */
export function storedBatches(log: Buffer): StoredBatch[] {
  const batches: StoredBatch[] = [];
  for (let at = 0; at + HEAD <= log.length;) {
    const end = at + UNCOUNTED + Math.max(log.readInt32BE(at + 8), 0);
    if (end > log.length) {
      break;
    }
    batches.push(storedBatch(log.subarray(at, end)));
    at = end;
  }
  return batches;
}

function storedBatch(bytes: Buffer): StoredBatch {
  const format = bytes.readInt8(16);
  const firstOffset = bytes.readBigInt64BE(0);
  if (format !== FORMAT) {
    const none = { attributes: 0, firstTimestamp: 0n, maxTimestamp: 0n, producerId: -1n, count: 0, data: bytes };
    return { firstOffset, lastOffset: firstOffset, format, ...none };
  }
  return {
    firstOffset,
    lastOffset: firstOffset + BigInt(bytes.readInt32BE(23)),
    format,
    attributes: bytes.readInt16BE(21),
    firstTimestamp: bytes.readBigInt64BE(27),
    maxTimestamp: bytes.readBigInt64BE(35),
    producerId: bytes.readBigInt64BE(43),
    count: bytes.readInt32BE(57),
    data: bytes.subarray(HEADER),
  };
}
