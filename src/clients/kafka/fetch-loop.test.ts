import { type Consumer, createRecordsBatch } from '@platformatic/kafka';
import { expect, test, vi } from 'vitest';
import { FetchLoop } from './fetch-loop.ts';
import type { FetchedPartition, Fetcher } from './fetcher.ts';
import { PartitionQueue } from './partition-queue.ts';

const LIMITS = { minBytes: 1, maxBytes: 1 << 20, maxWaitMs: 100 };
const BROKER = { nodeId: 1, host: 'localhost', port: 9092 };

/** Two partitions at one broker or at two; the first fetch gets these answers. */
function loopWith(answers: readonly FetchedPartition[], { newestFetch = 17, leaders = [1, 1] } = {}) {
  const troubles: string[] = [];
  const queues = [0, 1].map((partition) => {
    const queue = new PartitionQueue(
      { topic: 't', partition, offset: 0n },
      { onRoom: () => loop.wake(), onHandled: () => undefined },
    );
    return queue;
  });
  const partitions = leaders.map((leader) => ({ leader }));
  const metadata = {
    topics: new Map([['t', { id: 'id', partitionsCount: 2, partitions }]]),
    brokers: new Map([
      [1, BROKER],
      [2, BROKER],
    ]),
  };
  const find = vi.fn<() => Promise<unknown>>().mockResolvedValue(metadata);
  const reader = {
    metadata: find,
    listApis: () => Promise.resolve([{ apiKey: 1, name: 'Fetch', minVersion: 4, maxVersion: newestFetch }]),
  } as unknown as Consumer;
  const later = Promise.withResolvers<FetchedPartition[]>();
  const fetch = vi.fn<Fetcher['fetch']>(() => later.promise).mockResolvedValueOnce([...answers]);
  const loop = new FetchLoop({ reader, fetcher: { fetch, close: () => Promise.resolve() } }, 't', LIMITS, {
    queues: () => queues,
    random: () => 0,
    troubled: ({ message }) => troubles.push(message),
    partitionCount: () => undefined,
    topicReplaced: () => undefined,
    outOfRange: () => Promise.reject(new Error('no offsets')),
  });
  const done = loop.run();
  const stop = async (): Promise<void> => {
    loop.stop();
    await done;
  };
  return { queues, troubles, find, fetch, stop };
}

function answer(partition: number, changes: Partial<FetchedPartition> = {}): FetchedPartition {
  const { buffer } = createRecordsBatch([{ topic: 't', value: Buffer.from('good'), timestamp: 1000n }], {});
  return { partition, errorCode: 0, end: 1n, aborted: [], log: Buffer.from(buffer), ...changes };
}

test.each([
  ['an error', { errorCode: 6 }, 'For requests'],
  ['a damaged log', { log: Buffer.alloc(100) }, 'a batch without a length'],
  ['an offset that cannot be looked up', { errorCode: 1 }, 'no offsets'],
])('%s of one partition does not affect the others in the same answer', async (_, changes, message) => {
  const { queues, troubles, stop } = loopWith([answer(0, changes), answer(1)]);
  expect(await queues[1]?.next()).toMatchObject([{ value: Buffer.from('good') }]);
  await vi.waitFor(() => expect(troubles.join()).toContain(message));
  expect(queues.map(({ isRead }) => isRead)).toEqual([false, false]);
  await stop();
});

test('a partition without a leader is not read, however often another broker answers', async () => {
  const { queues, troubles, fetch, stop } = loopWith([answer(1)], { leaders: [-1, 2] });
  await vi.waitFor(() => expect(troubles).toHaveLength(1));
  expect(await queues[1]?.next()).toHaveLength(1);
  await vi.waitFor(() => expect(fetch).toHaveBeenCalledTimes(2));
  expect(queues.map(({ isRead }) => isRead)).toEqual([false, true]);
  await stop();
});

test('a partition that needs no records still counts as read if none can be fetched', async () => {
  const { queues, troubles, find, stop } = loopWith([answer(0), answer(1)]);
  await vi.waitFor(() => expect(queues.map(({ isRead }) => isRead)).toEqual([true, true]));
  find.mockRejectedValue(new Error('no brokers'));
  expect(await queues[1]?.next()).toHaveLength(1);
  await vi.waitFor(() => expect(troubles.join()).toContain('no brokers'));
  expect(queues.map(({ isRead }) => isRead)).toEqual([true, false]);
  await stop();
});

test('reports a broker that is too old', async () => {
  const { troubles, fetch, stop } = loopWith([], { newestFetch: 12 });
  await vi.waitFor(() => expect(troubles[0]).toBe('kafka is not available: the broker is older than Kafka 3.1'));
  expect(fetch).not.toHaveBeenCalled();
  await stop();
});
