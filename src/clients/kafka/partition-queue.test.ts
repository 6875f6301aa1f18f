import { expect, test, vi } from 'vitest';
import { PartitionQueue } from './partition-queue.ts';
import type { ConsumedRecord } from './records.ts';

function record(offset: bigint): ConsumedRecord {
  return { topic: 't', partition: 3, offset, timestampMs: 0, key: null, value: null, headers: [] };
}

function queueAt(offset: bigint) {
  const onRoom = vi.fn<() => void>();
  const onHandled = vi.fn<(offset: bigint) => void>();
  return { queue: new PartitionQueue({ topic: 't', partition: 3, offset }, { onRoom, onHandled }), onRoom, onHandled };
}

const batch = (from: bigint, count: number, end = 100n) => ({
  records: Array.from({ length: count }, (_, index) => record(from + BigInt(index))),
  bytes: count * 10,
  next: from + BigInt(count),
  needs: 0,
  end,
});

test('keeps the current batch and one more, and asks for the next when it has room', async () => {
  const { queue, onRoom } = queueAt(5n);
  expect(queue.wantsMore).toBe(true);
  queue.push(5n, batch(5n, 2));
  expect([queue.wantsMore, queue.position, queue.bytes]).toEqual([false, 7n, 20]);
  expect((await queue.next())?.map(({ offset }) => offset)).toEqual([5n, 6n]);
  expect(onRoom).toHaveBeenCalledTimes(1);
  expect([queue.wantsMore, queue.bytes]).toEqual([true, 20]);
  queue.push(7n, batch(7n, 1));
  expect([queue.wantsMore, queue.bytes]).toEqual([false, 30]);
  await queue.next();
  expect(queue.bytes).toBe(10);
});

test('a waiting reader gets the next batch', async () => {
  const { queue, onRoom } = queueAt(0n);
  const next = queue.next();
  await vi.waitFor(() => expect(onRoom).toHaveBeenCalled());
  queue.push(0n, batch(0n, 1));
  expect(await next).toHaveLength(1);
});

test('a fetch without records still advances the position', () => {
  const { queue, onHandled } = queueAt(0n);
  queue.push(0n, { records: [], bytes: 0, next: 4n, needs: 0, end: 4n });
  expect([queue.position, queue.wantsMore]).toEqual([4n, true]);
  expect([queue.lag, onHandled.mock.calls]).toEqual([0n, [[4n]]]);
});

test('the end of a transaction is handled with the records before it, and not earlier', async () => {
  const { queue, onHandled } = queueAt(0n);
  queue.push(0n, { ...batch(0n, 2, 6n), next: 3n });
  await queue.next();
  queue.push(3n, { records: [], bytes: 0, next: 6n, needs: 0, end: 6n });
  queue.handled(1n);
  expect(queue.lag).toBe(5n);
  queue.handled(2n);
  void queue.next();
  expect([queue.lag, onHandled.mock.calls.at(-1)]).toEqual([0n, [6n]]);
  queue.close();
});

test('drops an answer for another position', () => {
  const { queue } = queueAt(0n);
  queue.seek(50n);
  queue.push(0n, batch(0n, 2));
  expect([queue.position, queue.wantsMore]).toEqual([50n, true]);
});

test('the lag counts unhandled records, and handled offsets only increase', () => {
  const { queue, onHandled } = queueAt(0n);
  queue.push(0n, batch(0n, 5, 20n));
  expect(queue.lag).toBe(20n);
  queue.handled(3n);
  queue.handled(2n);
  expect(queue.lag).toBe(17n);
  expect(onHandled.mock.calls).toEqual([[3n]]);
});

test('closing ends a waiting reader, and later batches are dropped', async () => {
  const { queue } = queueAt(0n);
  const next = queue.next();
  queue.close();
  expect(await next).toBeUndefined();
  expect(queue.signal.aborted).toBe(true);
  queue.push(0n, batch(0n, 1));
  expect(await queue.next()).toBeUndefined();
  expect(queue.wantsMore).toBe(false);
});
