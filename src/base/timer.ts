/** Elapsed time, injected so that tests need not wait for it. */
export interface Timer {
  /** Monotonic time in milliseconds. */
  elapsedMs(): number;
  /** Resolves after this time, never earlier; rejects with the signal's reason when it aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The longest delay of Node's timers, in milliseconds: 24.8 days. With a longer one they fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemTimer: Timer = {
  elapsedMs: () => performance.now(),
  // Not `node:timers/promises`: it creates an error, with a stack, for each aborted timer, and nearly every one is aborted.
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const until = performance.now() + ms;
      let timer: NodeJS.Timeout | undefined;
      const giveUp = (): void => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      };
      // Node's timers count whole milliseconds of their own clock, and may fire slightly early.
      const wake = (): void => {
        const left = until - performance.now();
        if (left > 0) {
          timer = setTimeout(wake, Math.min(Math.ceil(left), MAX_TIMER_MS));
        } else {
          signal.removeEventListener('abort', giveUp);
          resolve();
        }
      };
      if (signal.aborted) {
        giveUp();
      } else {
        signal.addEventListener('abort', giveUp, { once: true });
        wake();
      }
    }),
};

/** Waits until the time has passed or the signal fires; never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await systemTimer.sleep(ms, signal).catch(() => undefined);
}
