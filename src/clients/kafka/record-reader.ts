import { Reader } from '@platformatic/kafka';

/** More headers than anybody sends. Each takes two bytes of a record, which may be compressed to nothing, and far more of memory. */
export const MAX_HEADERS = 10_000;

/** Reads records that may be damaged: no length leads back, and no count is larger than what memory has room for. */
export class RecordReader extends Reader {
  /** The record that was read last has more headers than {@link MAX_HEADERS}, of which none was read. */
  hasTooManyHeaders = false;

  static of(bytes: Buffer): RecordReader {
    return new RecordReader(Reader.from(bytes).buffer);
  }

  override readVarIntBytes(): Buffer | null {
    if (this.peekVarInt() < -1) {
      throw new RangeError('a record is damaged');
    }
    return super.readVarIntBytes();
  }

  /** The headers: a record has no other array. */
  override readVarIntArray<Item>(read: (reader: Reader, index: number) => Item): Item[] {
    this.hasTooManyHeaders = this.peekVarInt() > MAX_HEADERS;
    return this.hasTooManyHeaders ? [] : super.readVarIntArray(read);
  }
}
