import { describe, expect, onTestFinished, test } from 'vitest';
import { startDeadline, type Deadline } from './deadline.ts';

function deadline(timeoutMs: number, outer?: AbortSignal): Deadline {
  const started = startDeadline(timeoutMs, outer);
  onTestFinished(() => {
    started.stop();
  });
  return started;
}

const never = new Promise<never>(() => {});

describe('a deadline', () => {
  test('distinguishes a timeout from an abort by the caller', async () => {
    const late = deadline(1);
    await expect(late.race(never)).rejects.toThrow('deadline passed');
    expect([late.timedOut, late.aborted, late.signal.aborted]).toEqual([true, false, true]);

    const stop = new AbortController();
    const stopped = deadline(3_600_000, stop.signal);
    stop.abort(new Error('enough'));
    await expect(stopped.race(never)).rejects.toThrow('enough');
    expect([stopped.timedOut, stopped.aborted, stopped.signal.aborted]).toEqual([false, true, true]);
  });

  test('passes on the result or the error of work that ends in time', async () => {
    expect(await deadline(3_600_000).race(Promise.resolve('done'))).toBe('done');
    await expect(deadline(3_600_000).race(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });

  test('handles the late failure of work, which would otherwise end the process', async () => {
    const gone = deadline(3_600_000, AbortSignal.abort(new Error('enough')));
    await expect(gone.race(Promise.reject(new Error('broken')))).rejects.toThrow('enough');
  });

  test('does not pass while paused, or after the caller aborted', async () => {
    const stop = new AbortController();
    const paused = deadline(20, stop.signal);
    paused.pause();
    const other = deadline(60);
    await expect(other.race(never)).rejects.toThrow('deadline passed');
    expect(paused.signal.aborted).toBe(false);
    paused.restart();
    await expect(paused.race(never)).rejects.toThrow('deadline passed');

    const aborted = deadline(20, AbortSignal.abort());
    aborted.restart();
    await expect(deadline(60).race(never)).rejects.toThrow('deadline passed');
    expect(aborted.timedOut).toBe(false);
  });
});
