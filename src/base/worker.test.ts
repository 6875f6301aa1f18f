import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createLogger, silentLogger } from './logger.ts';
import { Worker } from './worker.ts';

/** A promise and the function that resolves it. */
function gate() {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

const NEVER_MS = 1_000_000;

describe('Worker', () => {
  test('runs a pass on start, and another after a nudge', async () => {
    const passes = [gate(), gate()];
    let count = 0;
    const worker = new Worker({
      name: 'test',
      logger: silentLogger,
      failureDelayMs: NEVER_MS,
      pass: async () => {
        passes[count]?.open();
        count += 1;
        return NEVER_MS;
      },
    });
    worker.start();
    await passes[0]?.opened;
    worker.nudge();
    await passes[1]?.opened;
    await worker.stop();
    expect(count).toBe(2);
  });

  test('does not run early if its next pass is due in a month', async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const pass = vi.fn(async () => 30 * 24 * 3_600_000);
    const worker = new Worker({ name: 'test', logger: silentLogger, failureDelayMs: NEVER_MS, pass });
    worker.start();
    await vi.advanceTimersByTimeAsync(1000);
    worker.nudge(30 * 24 * 3_600_000);
    await vi.advanceTimersByTimeAsync(24 * 3_600_000);
    await worker.stop();
    expect(pass).toHaveBeenCalledOnce();
  });

  test('never runs two passes at once, and a nudge during a pass is not lost', async () => {
    const first = gate();
    const second = gate();
    let running = 0;
    let most = 0;
    let count = 0;
    const worker: Worker = new Worker({
      name: 'test',
      logger: silentLogger,
      failureDelayMs: NEVER_MS,
      pass: async () => {
        running += 1;
        count += 1;
        most = Math.max(most, running);
        if (count === 1) {
          worker.nudge();
          await first.opened;
        } else {
          second.open();
        }
        running -= 1;
        return NEVER_MS;
      },
    });
    worker.start();
    await Promise.resolve();
    first.open();
    await second.opened;
    await worker.stop();
    expect({ most, count }).toEqual({ most: 1, count: 2 });
  });

  test('runs a pass for every delayed nudge, in any order', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    let passes = 0;
    const worker = new Worker({
      name: 'test',
      logger: silentLogger,
      failureDelayMs: NEVER_MS,
      pass: async () => {
        passes += 1;
        return NEVER_MS;
      },
    });
    worker.start();
    worker.nudge(300);
    worker.nudge(100);
    const seen: number[] = [];
    for (const ms of [99, 2, 198, 2]) {
      await vi.advanceTimersByTimeAsync(ms);
      seen.push(passes);
    }
    await worker.stop();
    expect(seen).toEqual([1, 2, 2, 3]);
  });

  test('logs and retries a pass that throws', async () => {
    const again = gate();
    const lines: string[] = [];
    let count = 0;
    const worker = new Worker({
      name: 'test',
      logger: createLogger('info', { write: (line) => lines.push(line) }),
      failureDelayMs: 1,
      pass: async () => {
        count += 1;
        if (count === 1) {
          throw new Error('bad row');
        }
        again.open();
        return NEVER_MS;
      },
    });
    worker.start();
    await again.opened;
    await worker.stop();
    expect(lines.join()).toContain('bad row');
  });

  test('stop aborts the signal of the current pass and waits for it; nothing runs afterwards', async () => {
    const entered = gate();
    const release = gate();
    let finished = false;
    let count = 0;
    const worker = new Worker({
      name: 'test',
      logger: silentLogger,
      failureDelayMs: 0,
      pass: async (signal) => {
        count += 1;
        entered.open();
        await release.opened;
        expect(signal.aborted).toBe(true);
        finished = true;
        return 0;
      },
    });
    worker.start();
    await entered.opened;
    const stopped = worker.stop();
    const stoppedAgain = worker.stop();
    release.open();
    await stopped;
    await stoppedAgain;
    expect(finished).toBe(true);
    worker.nudge();
    worker.start();
    await new Promise((resolve) => setImmediate(resolve));
    expect(count).toBe(1);
  });

  test('never runs if it is stopped before it starts, even after a nudge', async () => {
    let count = 0;
    const worker = new Worker({
      name: 'test',
      logger: silentLogger,
      failureDelayMs: 0,
      pass: async () => {
        count += 1;
        return 0;
      },
    });
    worker.nudge();
    await worker.stop();
    worker.start();
    await new Promise((resolve) => setImmediate(resolve));
    expect(count).toBe(0);
  });
});
