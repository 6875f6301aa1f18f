import { crc32c, createRecordsBatch } from '@platformatic/kafka';
import { zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { readPartition, type ReadLimits } from './fetched.ts';
import type { FetchedPartition } from './fetcher.ts';

const LIMITS: ReadLimits = { bytes: 1 << 20, atLeastOne: false, batchBytes: 1 << 20 };

type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** A batch as a broker stores it, beginning at this offset. */
function stored(firstOffset: bigint, values: readonly Buffer[], compression: Compression = 'none'): Buffer {
  const messages = values.map((value) => ({ topic: 't', value, timestamp: 1000n }));
  const { buffer } = createRecordsBatch(messages, { compression });
  const batch = Buffer.from(buffer);
  batch.writeBigInt64BE(firstOffset, 0);
  return batch;
}

/** With the right checksum, whatever was changed. */
function summed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

function fetched(...batches: Buffer[]): FetchedPartition {
  return { partition: 3, errorCode: 0, end: 100n, aborted: [], log: Buffer.concat(batches) };
}

const some = (count: number, bytes = 10): Buffer[] =>
  Array.from({ length: count }, (_, index) => Buffer.alloc(bytes, `${index % 10}`));

const offsets = ({ records }: ReturnType<typeof readPartition>): number[] =>
  records.map(({ offset }) => Number(offset));

test('returns records from the offset on, of whole batches', () => {
  const log = fetched(stored(5n, some(3)), stored(8n, some(2), 'zstd'), stored(10n, some(9)).subarray(0, -1));
  const answer = readPartition('t', 6n, log, LIMITS);
  expect(offsets(answer)).toEqual([6, 7, 8, 9]);
  expect(answer).toMatchObject({ next: 10n, needs: 0, end: 100n });
  expect(answer.records[0]).toMatchObject({
    topic: 't',
    partition: 3,
    timestampMs: 1000,
    value: Buffer.alloc(10, '1'),
  });
});

test('a page ends when its bytes are used up, and the next one continues inside the batch', () => {
  const log = fetched(stored(0n, some(10, 1000), 'lz4'));
  const limits = { ...LIMITS, bytes: 4000 };
  const pages = [];
  for (let from = 0n; from < 10n;) {
    const page = readPartition('t', from, log, limits);
    pages.push(offsets(page));
    expect(page.bytes).toBeLessThanOrEqual(4000);
    from = page.next;
  }
  expect(pages).toEqual([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]);
});

test('keeps only the returned records of a batch in memory', () => {
  const { records } = readPartition('t', 0n, fetched(stored(0n, some(500, 1000), 'gzip')), { ...LIMITS, bytes: 4000 });
  expect(records.map(({ value }) => value!.buffer.byteLength < 100_000)).toEqual([true, true, true]);
});

test('a record that does not fit reports the room it needs, and is returned if nothing else is in memory', () => {
  const log = fetched(stored(0n, some(2, 5000), 'snappy'));
  const waiting = readPartition('t', 0n, log, { ...LIMITS, bytes: 4000 });
  expect(waiting).toMatchObject({ records: [], next: 0n });
  expect(waiting.needs).toBeGreaterThan(5000);
  expect(offsets(readPartition('t', 0n, log, { ...LIMITS, bytes: waiting.needs }))).toEqual([0]);
  expect(offsets(readPartition('t', 0n, log, { ...LIMITS, bytes: 4000, atLeastOne: true }))).toEqual([0]);
});

test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
  'a %s batch that decompresses to too much is unreadable, but not its neighbours',
  (compression) => {
    const bomb = stored(8n, [Buffer.alloc(2 << 20), Buffer.from('lost')], compression);
    const answer = readPartition('t', 5n, fetched(stored(5n, some(3)), bomb, stored(10n, some(1))), LIMITS);
    expect(offsets(answer)).toEqual([5, 6, 7, 9, 10]);
    expect(answer.records[3]).toMatchObject({ key: null, value: null, headers: [], timestampMs: 1000 });
    expect(answer.records.map(({ unreadable }) => unreadable?.message)).toEqual([
      ...[undefined, undefined, undefined],
      'records 8 to 9 cannot be read: the batch decompresses to more than 1048576 bytes',
      undefined,
    ]);
  },
);

test('reports each damaged batch', () => {
  const cut = stored(0n, some(2));
  cut.writeInt32BE(3, 57);
  const garbage = stored(2n, some(2), 'zstd');
  garbage.fill(0xff, 61);
  const old = stored(4n, some(1));
  old.writeInt8(1, 16);
  const back = stored(5n, some(1));
  back.writeUInt8(1, 61);
  const log = fetched(summed(cut), summed(garbage), old, summed(back), stored(6n, some(1)));
  const answer = readPartition('t', 0n, log, LIMITS);
  expect(offsets(answer)).toEqual([1, 3, 4, 5, 6]);
  expect(answer.records.map(({ unreadable }) => unreadable?.code)).toEqual([
    ...Array.from({ length: 4 }, () => 'kafka.unreadable'),
    undefined,
  ]);
  expect(answer.records[2]?.unreadable?.message).toBe(
    'record 4 cannot be read: the batch has the message format 1, which is not supported',
  );
});

test('detects a flipped bit, which affects no other batch', () => {
  const value = stored(0n, some(2));
  value[value.length - 5]! ^= 1;
  const backward = stored(2n, some(2));
  backward.writeInt32BE(-7, 23);
  const far = stored(4n, some(2));
  far.writeInt32BE(2 ** 31 - 1, 23);
  const answer = readPartition('t', 0n, fetched(value, backward, far, stored(6n, some(1))), LIMITS);
  expect(offsets(answer)).toEqual([1, 2, 5, 6]);
  expect(answer.records.map(({ unreadable }) => unreadable?.message)).toEqual([
    'records 0 to 1 cannot be read: the batch does not match its checksum',
    'record 2 cannot be read: the batch does not match its checksum',
    'records 4 to 5 cannot be read: the batch does not match its checksum',
    undefined,
  ]);
  expect(readPartition('t', 4n, fetched(far), LIMITS).next).toBe(100n);
});

test('a batch without a length is an error, and not an endless loop', () => {
  for (const length of [-12, -(2 ** 31), 0, 4]) {
    const batch = stored(0n, some(1));
    batch.writeInt32BE(length, 8);
    expect(() => readPartition('t', 0n, fetched(batch), LIMITS)).toThrow('a batch without a length');
  }
});

/** The attributes of batches that are part of a transaction, and of those that end one. */
const [TRANSACTIONAL, CONTROL] = [0x10, 0x30];

function ofProducer(producerId: bigint, attributes: number, batch: Buffer): Buffer {
  batch.writeInt16BE(attributes, 21);
  batch.writeBigInt64BE(producerId, 43);
  return summed(batch);
}

test('a marker that cannot be read still ends its transaction', () => {
  const end = ofProducer(7n, CONTROL, stored(2n, some(1)));
  end[end.length - 5]! ^= 1;
  const log = fetched(
    ofProducer(7n, TRANSACTIONAL, stored(0n, some(1))),
    ofProducer(8n, TRANSACTIONAL, stored(1n, some(1))),
    end,
    ofProducer(7n, TRANSACTIONAL, stored(3n, some(1))),
  );
  const answer = readPartition('t', 0n, { ...log, aborted: [{ producerId: 7n, firstOffset: 0n }] }, LIMITS);
  expect(offsets(answer)).toEqual([1, 3]);
});

/** A batch of one record: its attributes, timestamp and offset are 0, it has no key, and its value is empty. */
function withHeaders(headers: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), headers]);
  const batch = stored(0n, some(1), 'zstd');
  return summed(withData(batch, zstdCompressSync(Buffer.concat([zigzag(body.length), body]))));
}

function withData(batch: Buffer, data: Buffer): Buffer {
  const whole = Buffer.concat([batch.subarray(0, 61), data]);
  whole.writeInt32BE(whole.length - 12, 8);
  return whole;
}

function zigzag(number: number): Buffer {
  const bytes: number[] = [];
  let rest = number * 2;
  for (; rest > 127; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) | 128);
  }
  return Buffer.from([...bytes, rest]);
}

test('counts the memory of headers', () => {
  const thousand = withHeaders(Buffer.concat([zigzag(1000), Buffer.alloc(2000, '\x00\x01', 'latin1')]));
  const answer = readPartition('t', 0n, fetched(thousand), LIMITS);
  expect(answer.records[0]?.headers).toHaveLength(1000);
  expect(answer.bytes).toBeGreaterThan(200_000);
});

test('a record with too many headers is unreadable, but not its neighbours in the batch', () => {
  const record = (offset: number, headers: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from([0, 0, 2 * offset, 2, 107, 2, 118]), headers]);
    return Buffer.concat([zigzag(body.length), body]);
  };
  const many = Buffer.concat([zigzag(500_000), Buffer.alloc(1_000_000, '\x00\x01', 'latin1')]);
  const records = [record(0, zigzag(0)), record(1, many), record(2, zigzag(0))];
  const batch = summed(withData(stored(0n, some(3), 'zstd'), zstdCompressSync(Buffer.concat(records))));
  expect(batch.length).toBeLessThan(1000);
  const answer = readPartition('t', 0n, fetched(batch), { ...LIMITS, bytes: 2 ** 21 });
  const whole = { key: Buffer.from('k'), value: Buffer.from('v'), headers: [] };
  expect(answer.records).toMatchObject([whole, whole, whole]);
  expect(answer.records.map(({ unreadable }) => unreadable?.message)).toEqual([
    undefined,
    'record 1 cannot be read: it has more than 10000 headers',
    undefined,
  ]);
});

test('a length that leads back does not loop', () => {
  // A key of length -2, and a value of length 0: two bytes, again and again.
  const batch = withHeaders(Buffer.concat([zigzag(9_000), Buffer.from([0, 3, 0, 3])]));
  expect(readPartition('t', 0n, fetched(batch), LIMITS).records[0]?.unreadable?.message).toContain('damaged');
});
