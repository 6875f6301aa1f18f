import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { compressionsAlgorithms } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import { decompress, DecompressionError } from './decompress.ts';

const codecs = (['gzip', 'snappy', 'lz4', 'zstd'] as const).map(
  (name) => [name, compressionsAlgorithms[name]] as const,
);

/** Matches near and far, long literals, and a last block that is not full. */
const DATA = Buffer.concat([
  Buffer.alloc(70_000, 'abc'),
  randomBytes(90_000),
  Buffer.from('{"command":"plan"}'.repeat(20_000)),
  Buffer.alloc(300),
]);

test.each(codecs)('%s: up to the limit and no further', (_, { bitmask, compressSync }) => {
  for (const data of [DATA, Buffer.from('ab'), Buffer.alloc(5_000_000), randomBytes(70_000)]) {
    const compressed = compressSync(data);
    expect(decompress(bitmask, compressed, data.length).equals(data)).toBe(true);
    expect(() => decompress(bitmask, compressed, data.length - 1)).toThrow(
      `the batch decompresses to more than ${data.length - 1} bytes`,
    );
  }
});

test.each(codecs)('%s: what is cut, or is nothing of the kind, is called so', (_, { bitmask, compressSync }) => {
  const compressed = compressSync(DATA);
  for (const data of [Buffer.from('x'), compressed.subarray(0, -20), Buffer.alloc(100, 0xff)]) {
    expect(() => decompress(bitmask, data, 1 << 20)).toThrow(DecompressionError);
  }
});

test('Snappy as the Java client frames it', () => {
  const { bitmask, compressSync } = compressionsAlgorithms.snappy;
  const blocks = [DATA.subarray(0, 100_000), DATA.subarray(100_000)].flatMap((half) => {
    const length = Buffer.alloc(4);
    const block = compressSync(half);
    length.writeUInt32BE(block.length);
    return [length, block];
  });
  const framed = Buffer.concat([Buffer.from('\x82SNAPPY\0\0\0\0\x01\0\0\0\x01', 'latin1'), ...blocks]);
  expect(decompress(bitmask, framed, DATA.length).equals(DATA)).toBe(true);
  expect(() => decompress(bitmask, framed, DATA.length - 1)).toThrow('decompresses to more');
});

test('several gzip members are one whole', () => {
  const twice = Buffer.concat([gzipSync('one'), gzipSync('two')]);
  expect(decompress(1, twice, 6).toString()).toBe('onetwo');
  expect(() => decompress(1, twice, 5)).toThrow('decompresses to more');
});

test('no compression, and one that nobody knows', () => {
  expect(decompress(0, DATA, 1)).toBe(DATA);
  expect(() => decompress(7, DATA, 1 << 20)).toThrow('the unknown compression 7');
});
