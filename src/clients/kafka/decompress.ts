import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { errorMessage } from '../../base/errors.ts';
import { lz4 } from './lz4.ts';
import { DecompressionError, tooLarge } from './output.ts';
import { snappy } from './snappy.ts';

type Codec = (data: Buffer, limit: number) => Buffer;

/**
 * By their number in a batch's attributes. The library's LZ4 and Snappy have no size limit, and a damaged batch breaks them for
 * all later batches.
 */
const CODECS: Readonly<Record<number, Codec>> = {
  0: (data) => data,
  1: (data, limit) => gunzipSync(data, { maxOutputLength: limit }),
  2: snappy,
  3: lz4,
  4: zstd,
};

/**
 * The records of a batch, decompressed. Never returns more than `limit` bytes: a kilobyte can expand to gigabytes.
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

/** Node stops after the first frame; `info` has its end. */
function zstd(data: Buffer, limit: number): Buffer {
  const frames: Buffer[] = [];
  let room = limit;
  for (let rest = data; rest.length > 0;) {
    const options = { maxOutputLength: Math.max(room, 1), info: true };
    const { buffer, engine } = zstdDecompressSync(rest, options) as unknown as ZstdFrame;
    room -= buffer.length;
    if (room < 0) {
      throw tooLarge(limit);
    }
    frames.push(buffer);
    rest = rest.subarray(engine.bytesWritten);
  }
  return frames.length === 1 && frames[0] ? frames[0] : Buffer.concat(frames);
}

interface ZstdFrame {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}
