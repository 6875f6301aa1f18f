import { getEventListeners } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import { sleep, systemTimer } from './timer.ts';

const DAY_MS = 24 * 3_600_000;

test('sleeps at least as long as asked, and stops when its signal is aborted', async () => {
  for (const ms of [0, 0.4, 1, 1.7, 5]) {
    const from = systemTimer.elapsedMs();
    await sleep(systemTimer, ms, new AbortController().signal);
    expect(systemTimer.elapsedMs() - from).toBeGreaterThanOrEqual(ms);
  }
  const stop = new AbortController();
  const sleeping = sleep(systemTimer, 3_600_000, stop.signal);
  stop.abort();
  await expect(sleeping).rejects.toMatchObject({ name: 'AbortError' });
});

test('removes its listener from the signal after a sleep', async () => {
  const { signal } = new AbortController();
  await sleep(systemTimer, 0, signal);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('a sleep of 50 days neither ends early nor keeps the process busy', () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const stop = new AbortController();
  const from = performance.now();
  sleep(systemTimer, 50 * DAY_MS, stop.signal).catch(() => undefined);
  vi.advanceTimersToNextTimer();
  expect(performance.now() - from).toBeGreaterThan(24 * DAY_MS);
  expect(vi.getTimerCount()).toBe(1);
  stop.abort();
  expect(vi.getTimerCount()).toBe(0);
});
