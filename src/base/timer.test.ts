import { expect, test } from 'vitest';
import { systemTimer } from './timer.ts';

test('sleeps no shorter than it was asked to, and ends with its signal', async () => {
  for (const ms of [0, 0.4, 1, 1.7, 5]) {
    const from = systemTimer.elapsedMs();
    await systemTimer.sleep(ms, new AbortController().signal);
    expect(systemTimer.elapsedMs() - from).toBeGreaterThanOrEqual(ms);
  }
  const stop = new AbortController();
  const sleeping = systemTimer.sleep(3_600_000, stop.signal);
  stop.abort();
  await expect(sleeping).rejects.toMatchObject({ name: 'AbortError' });
});
