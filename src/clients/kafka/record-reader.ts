import { Reader } from '@platformatic/kafka';

/** More headers than anyone sends. Each takes two bytes of a record, which may compress to nothing, but far more memory. */
export const MAX_HEADERS = 10_000;

/** Reads records that may be damaged: no length may move the reader back, and no count may exceed the available memory. */
export class RecordReader extends Reader {
  /** Whether the last record has more headers than {@link MAX_HEADERS}; then none was read. */
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
