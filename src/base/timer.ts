/** Time as it passes, injected so that tests need not wait for it. */
export interface Timer {
  /** Milliseconds, always growing. */
  elapsedMs(): number;
  /** Ends when that much time has passed, never earlier; rejects with the signal's reason when it aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The longest time that Node's timers take, in milliseconds: 24.8 days. They fire at once when given more. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemTimer: Timer = {
  elapsedMs: () => performance.now(),
  // Not Node's promise of a timer: it makes an error, with a stack, for each that is given up, which is nearly every one.
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const until = performance.now() + ms;
      let timer: NodeJS.Timeout | undefined;
      const giveUp = (): void => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      };
      // Node's timers count whole milliseconds of a clock of their own, and may fire a moment early.
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
