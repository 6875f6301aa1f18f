import { expect, test } from 'vitest';
import { RunRate } from './run-rate.ts';

test('allows each run a burst of 50 requests, then 10 per second', () => {
  let now = 0;
  const rate = new RunRate(() => now);
  const taken = (count: number) =>
    Array.from({ length: count }, () => rate.take('a')).filter((wait) => wait === undefined);
  expect(taken(60)).toHaveLength(50);
  expect(rate.take('a')).toBe(1);
  expect(rate.take('b')).toBeUndefined();
  now = 1000;
  expect(taken(20)).toHaveLength(10);
  now = 3_600_000;
  expect(taken(60)).toHaveLength(50);
});
