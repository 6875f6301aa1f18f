import { randomBytes } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { compressionsAlgorithms } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import { decompress } from './decompress.ts';
import { DecompressionError } from './output.ts';

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

test.each(codecs)('%s: decompresses up to the limit and no further', (_, { bitmask, compressSync }) => {
  for (const data of [DATA, Buffer.from('ab'), Buffer.alloc(5_000_000), randomBytes(70_000)]) {
    const compressed = compressSync(data);
    expect(decompress(bitmask, compressed, data.length).equals(data)).toBe(true);
    expect(() => decompress(bitmask, compressed, data.length - 1)).toThrow(
      `the batch decompresses to more than ${data.length - 1} bytes`,
    );
  }
});

test.each(codecs)('%s: rejects truncated data, and data of another format', (_, { bitmask, compressSync }) => {
  const compressed = compressSync(DATA);
  for (const data of [Buffer.from('x'), compressed.subarray(0, -20), Buffer.alloc(100, 0xff)]) {
    expect(() => decompress(bitmask, data, 1 << 20)).toThrow(DecompressionError);
  }
});

test('decompresses Snappy as the Java client frames it', () => {
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

test.each([
  [1, 'gzip members', gzipSync],
  [3, 'LZ4 frames', (text: string) => compressionsAlgorithms.lz4.compressSync(Buffer.from(text))],
  [4, 'zstd frames', zstdCompressSync],
] as const)('codec %d: joins several %s', (codec, _, compress) => {
  const twice = Buffer.concat([compress('one'), compress('two')]);
  expect(decompress(codec, twice, 6).toString()).toBe('onetwo');
  for (const limit of [5, 3]) {
    expect(() => decompress(codec, twice, limit)).toThrow('decompresses to more');
  }
});

test.each([
  ['snappy', 'f4ffff0f 08 616263 0109'],
  ['lz4', '04224d18 60 40 82 07000000 30 616263 0900 00 00000000'],
] as const)('%s: any number of damaged batches does not break a good one', (name, damaged) => {
  const { bitmask, compressSync } = compressionsAlgorithms[name];
  const [good, bad] = [compressSync(DATA), Buffer.from(damaged.replaceAll(' ', ''), 'hex')];
  for (let round = 0; round < 3000; round += 1) {
    try {
      decompress(bitmask, bad, 1 << 26);
    } catch {
      // The error after all rounds is checked below.
    }
  }
  expect(() => decompress(bitmask, bad, 1 << 26)).toThrow('a copy refers to data before the beginning');
  expect(decompress(bitmask, good, DATA.length).equals(DATA)).toBe(true);
});

test('LZ4: reads linked and stored blocks and checksums, and ignores a false size', () => {
  const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
  // Checksums are left empty: the batch has its own.
  const blocks = (sum: string): Buffer[] => [
    hex(`09000000 80 6162636465666768 ${sum}`),
    hex(`0a000000 14 58 0900 50 3132333435 ${sum}`),
    hex(`02000080 6f6b ${sum}`),
  ];
  const plain = Buffer.concat([hex('04224d18 40 40 00'), ...blocks(''), hex('00000000')]);
  expect(decompress(3, plain, 1000).toString()).toBe('abcdefghXabcdefgh12345ok');
  const lying = hex('04224d18 5c 40 ffffffffffffffff 00');
  const summed = Buffer.concat([lying, ...blocks('00000000'), hex('00000000 00000000')]);
  expect(decompress(3, summed, 24).toString()).toBe('abcdefghXabcdefgh12345ok');
  expect(() => decompress(3, summed, 23)).toThrow('decompresses to more');
});

test('returns uncompressed data unchanged, and rejects an unknown compression', () => {
  expect(decompress(0, DATA, 1)).toBe(DATA);
  expect(() => decompress(7, DATA, 1 << 20)).toThrow('the unknown compression 7');
});
