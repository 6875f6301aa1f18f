import { crc32c } from '@platformatic/kafka';

/** A batch as stored in the log, with records that may be compressed: https://kafka.apache.org/documentation/#recordbatch. */
export interface StoredBatch {
  readonly firstOffset: bigint;
  /** Offset of its last record, which compaction may have removed. */
  readonly lastOffset: bigint;
  readonly format: number;
  readonly attributes: number;
  readonly firstTimestamp: bigint;
  readonly maxTimestamp: bigint;
  readonly producerId: bigint;
  readonly count: number;
  /** Whether it matches its checksum. */
  readonly isIntact: boolean;
  readonly data: Buffer;
}

/** The batch format since Kafka 0.11; older ones are single messages. */
export const FORMAT = 2;

/** Offsets in a batch: the bytes that the length does not count, the bytes up to the format, and the start of the records. */
const UNCOUNTED = 12;
const HEAD = 17;
const HEADER = 61;
/** The checksum covers everything from here on. */
const SUMMED = 21;

/**
 * The batches of a fetched part of the log. A last batch that is cut off is left out.
 *
 * @param end of the partition's whole log
 */
export function storedBatches(log: Buffer, end: bigint): StoredBatch[] {
  const found: Buffer[] = [];
  for (let at = 0; at + HEAD <= log.length;) {
    const after = at + UNCOUNTED + log.readInt32BE(at + 8);
    if (after < at + HEAD) {
      throw new RangeError('the log has a batch without a length');
    }
    if (after > log.length) {
      break;
    }
    found.push(log.subarray(at, after));
    at = after;
  }
  return found.map((bytes, index) => storedBatch(bytes, found[index + 1]?.readBigInt64BE(0) ?? end));
}

/** @param next where the one after it begins */
function storedBatch(bytes: Buffer, next: bigint): StoredBatch {
  const format = bytes.readInt8(16);
  const firstOffset = bytes.readBigInt64BE(0);
  if (format !== FORMAT || bytes.length < HEADER) {
    const none = { attributes: 0, firstTimestamp: 0n, maxTimestamp: 0n, producerId: -1n, count: 0, data: bytes };
    return { firstOffset, lastOffset: firstOffset, format, isIntact: false, ...none };
  }
  const isIntact = crc32c(bytes.subarray(SUMMED)) === bytes.readUInt32BE(SUMMED - 4);
  const lastOffset = firstOffset + BigInt(bytes.readInt32BE(23));
  return {
    firstOffset,
    // A damaged batch must neither skip others nor stop the reading.
    lastOffset: isIntact ? lastOffset : within(lastOffset, firstOffset, next - 1n),
    format,
    isIntact,
    attributes: bytes.readInt16BE(21),
    firstTimestamp: bytes.readBigInt64BE(27),
    maxTimestamp: bytes.readBigInt64BE(35),
    producerId: bytes.readBigInt64BE(43),
    count: bytes.readInt32BE(57),
    data: bytes.subarray(HEADER),
  };
}

function within(offset: bigint, first: bigint, last: bigint): bigint {
  const capped = offset > last ? last : offset;
  return capped < first ? first : capped;
}
