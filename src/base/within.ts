/** What came of waiting: the value, or the news that it took too long. */
export type Within<T> = { readonly inTime: true; readonly value: T } | { readonly inTime: false };

/**
 * Waits for `work`, but no longer than `limitMs`. What is late goes on; whether it then fails is no longer this caller's
 * business, so whoever cares must watch the promise itself.
 *
 * @throws what `work` rejects with in time
 */
export async function within<T>(limitMs: number, work: Promise<T>): Promise<Within<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Within<T>>((resolve) => {
    // After a time in which the event loop was held up, timers come before answers that have long arrived: those go first.
    timer = setTimeout(() => setImmediate(() => resolve({ inTime: false })), limitMs);
  });
  try {
    return await Promise.race([work.then((value) => ({ inTime: true, value }) as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
