/** Elapsed time, injected so that tests need not wait for it. */
export interface Timer {
  /** Monotonic time in milliseconds. */
  elapsedMs(): number;
  /**
   * Calls `fire` after this time, never earlier.
   *
   * @returns a function that cancels the call
   */
  after(ms: number, fire: () => void): () => void;
}

/** The longest delay of Node's timers, in milliseconds: 24.8 days. With a longer one they fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemTimer: Timer = {
  elapsedMs: () => performance.now(),
  after(ms, fire) {
    const until = performance.now() + ms;
    const arm = (leftMs: number): NodeJS.Timeout =>
      setTimeout(wake, Math.min(Math.ceil(Math.max(0, leftMs)), MAX_TIMER_MS));
    // Node's timers count whole milliseconds of their own clock, and may fire slightly early.
    const wake = (): void => {
      const left = until - performance.now();
      if (left > 0) {
        timer = arm(left);
      } else {
        fire();
      }
    };
    let timer = arm(ms);
    return () => clearTimeout(timer);
  },
};

/** Waits until the time has passed; rejects with the signal's reason when it fires. */
export function sleep(timer: Timer, ms: number, signal: AbortSignal): Promise<void> {
  // Not `node:timers/promises`: it creates an error, with a stack, for each aborted timer, and nearly every one is aborted.
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const giveUp = (): void => {
      cancel();
      reject(signal.reason as Error);
    };
    const cancel = timer.after(ms, () => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    });
    signal.addEventListener('abort', giveUp, { once: true });
  });
}

/** Waits until the time has passed or the signal fires; never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(systemTimer, ms, signal).catch(() => undefined);
}
