import { Output } from './output.ts';

/** The Java client's framing: this magic, two versions, then blocks, each after its length. */
const XERIAL_MAGIC = Buffer.from('\x82SNAPPY\0', 'latin1');
const XERIAL_HEADER = 16;

/** A Snappy block, or several as the Java client frames them, decompressed. */
export function snappy(data: Buffer, limit: number): Buffer {
  const output = new Output(data.length, limit);
  if (!data.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) {
    block(data, output);
    return output.data;
  }
  for (let at = XERIAL_HEADER; at < data.length;) {
    const end = at + 4 + data.readUInt32BE(at);
    block(data.subarray(at + 4, end), output);
    at = end;
  }
  return output.data;
}

/** https://github.com/google/snappy/blob/main/format_description.txt: the length, then literals and copies. */
function block(data: Buffer, output: Output): void {
  const size = varint(data);
  const before = output.length;
  for (let at = size.end; at < data.length;) {
    const tag = data.readUInt8(at);
    at = (tag & 3) === 0 ? literals(data, at, output) : copy(data, at, output);
  }
  if (output.length - before !== size.value) {
    throw new RangeError('the data does not have the stated length');
  }
}

/** From this value on, the length follows the tag in one to four bytes. */
const LONG = 60;

/** @returns where the next tag is */
function literals(data: Buffer, at: number, output: Output): number {
  const short = data.readUInt8(at) >> 2;
  const extra = Math.max(short - LONG + 1, 0);
  const count = 1 + (extra === 0 ? short : data.readUIntLE(at + 1, extra));
  output.literals(data, at + 1 + extra, count);
  return at + 1 + extra + count;
}

/** @returns where the next tag is */
function copy(data: Buffer, at: number, output: Output): number {
  const tag = data.readUInt8(at);
  if ((tag & 3) === 1) {
    output.repeat(((tag >> 5) << 8) | data.readUInt8(at + 1), 4 + ((tag >> 2) & 7));
    return at + 2;
  }
  const bytes = (tag & 3) === 2 ? 2 : 4;
  output.repeat(data.readUIntLE(at + 1, bytes), 1 + (tag >> 2));
  return at + 1 + bytes;
}

/** A number in at most five bytes of seven bits each, lowest bits first. */
function varint(data: Buffer): { readonly value: number; readonly end: number } {
  let value = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = data.readUInt8(index);
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      return { value, end: index + 1 };
    }
  }
  throw new RangeError('no length');
}
