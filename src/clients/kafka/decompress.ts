import { compressionsAlgorithms } from '@platformatic/kafka';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { errorMessage } from '../../base/errors.ts';

/** Says why the bytes cannot be had. */
export class DecompressionError extends Error {}

type Codec = (data: Buffer, limit: number) => Buffer;

/** By the number that a batch's attributes have for it. */
const CODECS: Readonly<Record<number, Codec>> = {
  0: (data) => data,
  1: (data, limit) => gunzipSync(data, { maxOutputLength: limit }),
  2: (data, limit) => compressionsAlgorithms.snappy.decompressSync(within(limit, data, snappySize)),
  3: (data, limit) => compressionsAlgorithms.lz4.decompressSync(within(limit, data, lz4Size)),
  4: (data, limit) => zstdDecompressSync(data, { maxOutputLength: limit }),
};

/**
 * The records of a batch, decompressed. Never makes more than `limit` bytes: a kilobyte can stand for gigabytes.
 *
 * @throws DecompressionError
 */
export function decompress(codec: number, data: Buffer, limit: number): Buffer {
  const decompressed = CODECS[codec];
  if (decompressed === undefined) {
    throw new DecompressionError(`the batch has the unknown compression ${codec}`);
  }
  try {
    return decompressed(data, limit);
  } catch (error) {
    throw error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
      ? tooLarge(limit)
      : damaged(error);
  }
}

function damaged(error: unknown): DecompressionError {
  return error instanceof DecompressionError
    ? error
    : new DecompressionError(`the batch cannot be decompressed: ${errorMessage(error)}`);
}

function tooLarge(limit: number): DecompressionError {
  return new DecompressionError(`the batch decompresses to more than ${limit} bytes`);
}

/** The same data. The library's decoders of these two know no limit, but what they will make can be counted before. */
function within(limit: number, data: Buffer, sizeOf: (data: Buffer) => number): Buffer {
  if (sizeOf(data) > limit) {
    throw tooLarge(limit);
  }
  return data;
}

/** How the Java client frames Snappy: this, two versions, and blocks that each follow their length. */
const XERIAL_MAGIC = Buffer.from('\x82SNAPPY\0', 'latin1');
const XERIAL_HEADER = 16;

/** A Snappy block begins with the length that it has when decompressed. */
function snappySize(data: Buffer): number {
  if (!data.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
    return varint(data);
  }
  let size = 0;
  for (let at = XERIAL_HEADER; at < data.length;) {
    const length = data.readUInt32BE(at);
    size += varint(data.subarray(at + 4));
    at += 4 + length;
  }
  return size;
}

/** At most five bytes, seven bits each, the lowest first. */
function varint(data: Buffer): number {
  let value = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = data.readUInt8(index);
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      return value;
    }
  }
  throw new RangeError('no length');
}

/** https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md: the magic number, and bits of the flags after it. */
const LZ4_MAGIC = 0x184d2204;
const HAS_DICTIONARY = 1;
const HAS_CONTENT_CHECKSUM = 1 << 2;
const HAS_CONTENT_SIZE = 1 << 3;
const HAS_BLOCK_CHECKSUM = 1 << 4;
/** Of a block's length: its data is stored as it is. */
const IS_STORED = 0x80000000;

/** The sum of its blocks. A content size in the header may lie. */
function lz4Size(data: Buffer): number {
  let size = 0;
  for (let at = 0; at < data.length;) {
    if (data.readUInt32LE(at) !== LZ4_MAGIC) {
      throw new RangeError('not an LZ4 frame');
    }
    const flags = data.readUInt8(at + 4);
    // Flags, block size and header checksum are one byte each.
    at += 7 + (flags & HAS_CONTENT_SIZE ? 8 : 0) + (flags & HAS_DICTIONARY ? 4 : 0);
    for (let head = data.readUInt32LE(at); head !== 0; head = data.readUInt32LE(at)) {
      const length = head % IS_STORED;
      const block = data.subarray(at + 4, at + 4 + length);
      size += head >= IS_STORED ? length : lz4BlockSize(block);
      at += 4 + length + (flags & HAS_BLOCK_CHECKSUM ? 4 : 0);
    }
    at += 4 + (flags & HAS_CONTENT_CHECKSUM ? 4 : 0);
  }
  return size;
}

/** The shortest match; what a token's half that is full means. */
const MIN_MATCH = 4;
const LONG = 15;

/** Sequences of literals, which are copied, and a match, which repeats what is there already. */
function lz4BlockSize(block: Buffer): number {
  let [size, at] = [0, 0];
  const lengthOf = (half: number): number => {
    let length = half;
    for (let more = half === LONG ? 255 : 0; more === 255; length += more) {
      more = block.readUInt8(at);
      at += 1;
    }
    return length;
  };
  while (at < block.length) {
    const token = block.readUInt8(at);
    at += 1;
    const literals = lengthOf(token >> 4);
    size += literals;
    at += literals;
    // The last sequence has no match; the others name its distance in two bytes.
    if (at < block.length) {
      at += 2;
      size += MIN_MATCH + lengthOf(token & LONG);
    }
  }
  return size;
}
