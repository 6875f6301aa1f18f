import { Output } from './output.ts';

/** https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md: the magic number, and bits of the flags that follow. */
const MAGIC = 0x184d2204;
const HAS_DICTIONARY = 1;
const HAS_CONTENT_CHECKSUM = 1 << 2;
const HAS_CONTENT_SIZE = 1 << 3;
const HAS_BLOCK_CHECKSUM = 1 << 4;
/** Bit of a block's length: the data is not compressed. */
const IS_STORED = 0x80000000;

/** The shortest match; and the value of half a token that means more length bytes follow. */
const MIN_MATCH = 4;
const LONG = 15;

/** LZ4 frames, decompressed. Checksums are not verified, because the batch has one. The content size is not trusted. */
export function lz4(data: Buffer, limit: number): Buffer {
  const output = new Output(data.length, limit);
  for (let at = 0; at < data.length;) {
    if (data.readUInt32LE(at) !== MAGIC) {
      throw new RangeError('not an LZ4 frame');
    }
    const flags = data.readUInt8(at + 4);
    // Flags, block size and header checksum are one byte each.
    at += 7 + (flags & HAS_CONTENT_SIZE ? 8 : 0) + (flags & HAS_DICTIONARY ? 4 : 0);
    for (let head = data.readUInt32LE(at); head !== 0; head = data.readUInt32LE(at)) {
      const length = head % IS_STORED;
      if (head >= IS_STORED) {
        output.literals(data, at + 4, length);
      } else {
        block(data.subarray(at + 4, at + 4 + length), output);
      }
      at += 4 + length + (flags & HAS_BLOCK_CHECKSUM ? 4 : 0);
    }
    at += 4 + (flags & HAS_CONTENT_CHECKSUM ? 4 : 0);
  }
  return output.data;
}

/** Sequences of literals, which are copied, and a match, which repeats earlier output. */
function block(data: Buffer, output: Output): void {
  let at = 0;
  const lengthOf = (half: number): number => {
    let length = half;
    for (let more = half === LONG ? 255 : 0; more === 255; length += more) {
      more = data.readUInt8(at);
      at += 1;
    }
    return length;
  };
  while (at < data.length) {
    const token = data.readUInt8(at);
    at += 1;
    const literals = lengthOf(token >> 4);
    output.literals(data, at, literals);
    at += literals;
    // The last sequence has no match; the others name its distance in two bytes.
    if (at < data.length) {
      const distance = data.readUInt16LE(at);
      at += 2;
      output.repeat(distance, MIN_MATCH + lengthOf(token & LONG));
    }
  }
}
