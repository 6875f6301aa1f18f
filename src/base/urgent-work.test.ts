import { expect, onTestFinished, test, vi } from 'vitest';
import { UrgentWork } from './urgent-work.ts';

/** Runs this many answers at once; they end together. */
async function answer(urgent: UrgentWork, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const answers = Array.from({ length: count }, () => urgent.run(() => promise));
  resolve();
  await Promise.all(answers);
}

test('more than eight answers at once are a rush, which outlasts them: other work runs in small batches', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const urgent = new UrgentWork();
  await answer(urgent, 8);
  expect([urgent.isRush, urgent.leave(64), urgent.spacingMs]).toEqual([false, 64, 0]);
  await answer(urgent, 9);
  expect([urgent.isRush, urgent.leave(64), urgent.leave(1), urgent.spacingMs]).toEqual([true, 2, 1, 100]);
  vi.advanceTimersByTime(500);
  expect([urgent.isRush, urgent.leave(64), urgent.spacingMs]).toEqual([false, 64, 0]);
});

test('a failed answer no longer counts as running', async () => {
  const urgent = new UrgentWork();
  const failing = Array.from({ length: 8 }, () => urgent.run(() => Promise.reject(new Error('x'))));
  await Promise.allSettled(failing);
  await answer(urgent, 8);
  expect(urgent.isRush).toBe(false);
});
