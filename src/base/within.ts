import { setImmediate } from 'node:timers/promises';
import type { Timer } from './timer.ts';

/** The result of waiting: the value, or that it took too long. */
type Within<T> = { readonly inTime: true; readonly value: T } | { readonly inTime: false };

/** Shared, because each new error would capture a stack. */
const DONE = new Error('the work is done');

/**
 * Waits for `work`, but at most `limitMs`. After that the work's signal aborts with a TimeoutError. A later failure of `work` is
 * ignored: code that needs it must watch the promise itself.
 *
 * @throws what `work` rejects with in time
 */
export async function within<T>(
  timer: Timer,
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<Within<T>> {
  const late = new AbortController();
  const done = new AbortController();
  const limit = timer.sleep(limitMs, done.signal).then(async (): Promise<Within<T>> => {
    // After the event loop was blocked, timers fire before answers that arrived long ago: let those go first.
    await setImmediate();
    return { inTime: false };
  });
  // It rejects when the work is done first.
  limit.catch(() => undefined);
  try {
    const outcome = await Promise.race([work(late.signal).then((value) => ({ inTime: true, value }) as const), limit]);
    if (!outcome.inTime) {
      late.abort(new DOMException(`timed out after ${limitMs} ms`, 'TimeoutError'));
    }
    return outcome;
  } finally {
    done.abort(DONE);
  }
}

/**
 * Waits for `work` until the signal fires, for work that takes no signal.
 *
 * @throws what `work` rejects with, or the signal's reason
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => {};
  // Even if the signal has fired: a failure of the work needs a handler.
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) {
      onAbort();
    }
  });
  try {
    return await Promise.race([aborted, work]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
