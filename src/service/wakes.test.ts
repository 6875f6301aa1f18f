import { expect, test } from 'vitest';
import { sweepInMs } from './wakes.ts';

test('where nobody claims the lease, the sweep asks at each of its turns', () => {
  expect(sweepInMs(Infinity)).toBe(0);
});

test('a sweep whose question the claim of the lease has asked waits until the next claim is late', () => {
  expect([0, 1000, 14_999].map(sweepInMs)).toEqual([16_000, 15_000, 1001]);
});

test('beside a lease that is renewed each 15 seconds the sweep never asks; without the renewals it asks soon', () => {
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
