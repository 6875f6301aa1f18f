import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TestKafka } from '../../../test/support/kafka.ts';
import { Member, text } from '../../../test/support/kafka-member.ts';

let kafka: TestKafka;
beforeAll(() => {
  kafka = new TestKafka();
});
afterAll(() => kafka.close());

test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)('reads records compressed with %s', async (compression) => {
  const topic = await kafka.createTopic(1);
  const values = ['a', 'b', 'c'].map((letter) => letter.repeat(1000));
  await kafka.produce(
    topic,
    values.map((value) => text(value)),
    { compression },
  );
  const member = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(member.values()).toEqual(values));
  await member.stop();
});

test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
  'reads records that the broker compresses with %s',
  async (compression) => {
    const topic = await kafka.createTopic(1, {
      'compression.type': compression,
      'message.timestamp.type': 'LogAppendTime',
    });
    // More than one block of every format.
    const values = Array.from({ length: 400 }, (_, index) =>
      `${index} ${Math.random()} `.padEnd(1000, 'command plan '),
    );
    await kafka.produce(
      topic,
      values.map((value) => text(value)),
    );
    const member = await Member.join({ topic, groupId: topic });
    await vi.waitFor(() => expect(member.values()).toEqual(values));
    await member.stop();
  },
);

test.each(['gzip', 'snappy', 'lz4', 'zstd'] as const)(
  'a %s batch that decompresses to too much affects no other, and takes little memory',
  async (compression) => {
    const topic = await kafka.createTopic(1);
    await kafka.produce(topic, [text('before')]);
    // Snappy makes a batch only twenty times smaller, and the broker accepts a megabyte.
    const bytes = (compression === 'snappy' ? 15 : 100) * 2 ** 20;
    await kafka.produce(topic, [text('with it'), { partition: 0, value: Buffer.alloc(bytes) }], { compression });
    await kafka.produce(topic, [text('after')]);
    const memory = process.memoryUsage().rss;
    const member = await Member.join({ topic, groupId: topic });
    await vi.waitFor(() => expect(member.seen).toHaveLength(3));
    expect(process.memoryUsage().rss - memory).toBeLessThan(64 * 2 ** 20);
    expect(member.seen.map(({ offset, unreadable }) => [offset, unreadable?.message])).toEqual([
      [0n, undefined],
      [2n, 'records 1 to 2 cannot be read: the batch decompresses to more than 4194304 bytes'],
      [3n, undefined],
    ]);
    await member.stop();
    expect(await kafka.committed(topic, topic, 1)).toEqual([4n]);
  },
);

test('a compressed batch is delivered in parts, each record once and in order', async () => {
  const topic = await kafka.createTopic(1);
  const values = Array.from({ length: 900 }, (_, index) => `${index}`.padEnd(10_000));
  await kafka.produce(
    topic,
    values.map((value) => text(value)),
    { compression: 'zstd' },
  );
  const sizes: number[] = [];
  const member = await Member.join({
    topic,
    groupId: topic,
    maxBytes: 10 << 20,
    onPartition: async (reader) => {
      for (let records = await reader.next(); records !== undefined; records = await reader.next()) {
        sizes.push(records.reduce((sum, { value }) => sum + value!.length, 0));
        member.seen.push(...records);
        reader.handled(records.at(-1)!.offset + 1n);
      }
    },
  });
  await vi.waitFor(() => expect(member.seen).toHaveLength(values.length));
  expect(member.values()).toEqual(values);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(2 ** 20);
  await member.stop();
});

test('a batch that is larger than a fetch does not wait until the other partitions are empty', async () => {
  const topic = await kafka.createTopic(2);
  await kafka.produce(topic, [{ partition: 1, value: Buffer.alloc(900_000) }]);
  for (let round = 0; round < 40; round += 1) {
    await kafka.produce(
      topic,
      Array.from({ length: 8 }, () => text('x'.repeat(100_000))),
    );
  }
  const member = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(member.seen).toHaveLength(321));
  expect(member.seen.findIndex(({ partition }) => partition === 1)).toBeLessThan(100);
  await member.stop();
});

test('reads committed transactions, skips aborted ones, and continues after both', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produceInTransactions(topic, [['abort', [text('aborted')]]]);
  await kafka.produceInTransactions(topic, [['commit', [text('committed')]]]);
  await kafka.produce(topic, [text('plain')]);
  const member = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(member.values()).toEqual(['committed', 'plain']));
  await member.stop();
});

test('reads a log that ends with a transaction to its end: the lag is 0, and the end is committed', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produceInTransactions(topic, [
    ['commit', [text('committed')]],
    ['abort', [text('aborted'), text('aborted')]],
  ]);
  const ends = await kafka.ends(topic);
  const member = await Member.join({ topic, groupId: topic });
  await vi.waitFor(async () => expect(await kafka.committed(topic, topic, 1)).toEqual(ends));
  expect([member.values(), member.client.lag()]).toEqual([['committed'], new Map([[0, 0n]])]);
  await member.stop();
});

test('skips what a producer aborts, even if it aborts twice, or more than a fetch returns', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produceInTransactions(topic, [
    ['abort', [text('aborted-1')]],
    ['commit', [text('committed-1')]],
    ['abort', [text('aborted-2')]],
    ['abort', Array.from({ length: 6 }, () => text('x'.repeat(100_000)))],
    ['commit', [text('committed-2')]],
  ]);
  const member = await Member.join({ topic, groupId: topic });
  await vi.waitFor(() => expect(member.values()).toContain('committed-2'));
  expect(member.values().map((value) => value.slice(0, 12))).toEqual(['committed-1', 'committed-2']);
  await member.stop();
});
