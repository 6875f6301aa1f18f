import { setTimeout } from 'node:timers/promises';

/** Time as it passes, injected so that tests need not wait for it. */
export interface Timer {
  /** Milliseconds, always growing. */
  elapsedMs(): number;
  /** Ends when that much time has passed, never earlier; rejects when the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemTimer: Timer = {
  elapsedMs: () => performance.now(),
  sleep: async (ms, signal) => {
    const until = performance.now() + ms;
    // Node's timers count whole milliseconds of a clock of their own, and may fire a moment early.
    for (let left = ms; left > 0; left = until - performance.now()) {
      await setTimeout(Math.ceil(left), undefined, { signal });
    }
  },
};

/** Waits until the time has passed or the signal fires; never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await setTimeout(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) {
      throw error;
    }
  }
}
