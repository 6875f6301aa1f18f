import { expect, test } from 'vitest';
import { sweepInMs } from './wakes.ts';

test('if no process claims the lease, each sweep asks', () => {
  expect(sweepInMs(Infinity)).toBe(0);
});

test('after a claim of the lease, the sweep waits until the next claim is late', () => {
  expect([0, 1000, 14_999].map(sweepInMs)).toEqual([16_000, 15_000, 1001]);
});

test('the sweep never asks while the lease is renewed every 15 seconds, and soon asks without renewals', () => {
  const turns = (renewedUntilMs: number): number => {
    let asked = 0;
    for (let nowMs = 1; nowMs < 600_000;) {
      const heardMs = nowMs - Math.min(Math.floor(nowMs / 15_000) * 15_000, renewedUntilMs);
      const restMs = sweepInMs(heardMs);
      asked += restMs === 0 ? 1 : 0;
      nowMs += restMs || 15_000;
    }
    return asked;
  };
  expect(turns(Infinity)).toBe(0);
  expect(turns(300_000)).toBe(19);
});
