import { expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';

const LIMITS = { firstMs: 500, maxMs: 60_000 };

test.each([
  [1, 250, 500],
  [2, 500, 1000],
  [7, 16_000, 32_000],
  [8, 30_000, 60_000],
  [1_000_000, 30_000, 60_000],
])('attempt %i waits between half its delay and the full delay: %i to %i ms', (attempt, least, most) => {
  expect([backoffMs(attempt, LIMITS, 0), backoffMs(attempt, LIMITS, 1)]).toEqual([least, most]);
});
