/** Data that cannot be decompressed; the message says why. */
export class DecompressionError extends Error {}

export function tooLarge(limit: number): DecompressionError {
  return new DecompressionError(`the batch decompresses to more than ${limit} bytes`);
}

/** Initial guess: the data is this many times larger than its source. */
const GUESS = 4;

/** The output of LZ4 and Snappy: literals, and repetitions of earlier output. Grows up to the limit. */
export class Output {
  readonly #limit: number;
  #bytes: Buffer;
  #length = 0;

  constructor(sourceLength: number, limit: number) {
    this.#limit = limit;
    this.#bytes = Buffer.allocUnsafe(Math.min(GUESS * sourceLength, limit));
  }

  get length(): number {
    return this.#length;
  }

  get data(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** @throws RangeError if the source has fewer bytes */
  literals(source: Buffer, at: number, count: number): void {
    if (count > source.length - at) {
      throw new RangeError('the data ends too early');
    }
    const start = this.#extend(count);
    source.copy(this.#bytes, start, at, at + count);
  }

  /** Repeats bytes from this far back; they may overlap the new ones. */
  repeat(distance: number, count: number): void {
    if (distance < 1 || distance > this.#length) {
      throw new RangeError('a copy refers to data before the beginning');
    }
    const start = this.#extend(count);
    const bytes = this.#bytes;
    for (let at = start; at < start + count; at += 1) {
      bytes[at] = bytes[at - distance] ?? 0;
    }
  }

  /** @returns where the new bytes begin */
  #extend(count: number): number {
    const start = this.#length;
    const length = start + count;
    if (length > this.#limit) {
      throw tooLarge(this.#limit);
    }
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.min(Math.max(2 * this.#bytes.length, length), this.#limit));
      this.#bytes.copy(larger, 0, 0, start);
      this.#bytes = larger;
    }
    this.#length = length;
    return start;
  }
}
