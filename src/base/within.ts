import type { Timer } from './timer.ts';

/** The result of waiting: the value, or that it took too long. */
type Within<T> = { readonly inTime: true; readonly value: T } | { readonly inTime: false };

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
  const { promise, resolve, reject } = Promise.withResolvers<Within<T>>();
  const cancel = timer.after(limitMs, () => {
    // After the event loop was blocked, timers fire before answers that arrived long ago: let those go first.
    setImmediate(() => {
      resolve({ inTime: false });
    });
  });
  try {
    work(late.signal).then((value) => {
      resolve({ inTime: true, value });
    }, reject);
    const outcome = await promise;
    if (!outcome.inTime) {
      late.abort(new DOMException(`timed out after ${limitMs} ms`, 'TimeoutError'));
    }
    return outcome;
  } finally {
    cancel();
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
