import { expect, test } from 'vitest';
import { RunRate } from './run-rate.ts';

test('a run may make 50 requests at once, then 10 a second; others have their own', () => {
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
