/** Bounds of an exponential backoff, in milliseconds. */
export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * The wait before attempt `attempt + 1`, in milliseconds. It doubles from `firstMs` to `maxMs`, with "equal jitter"
 * (between half and all of it), so that many waiters spread out and none retries immediately.
 *
 * @param attempt number of attempts so far, at least 1
 * @param random a number in [0, 1)
 */
export function backoffMs(attempt: number, limits: BackoffLimits, random: number): number {
  const ceiling = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(ceiling / 2 + (ceiling / 2) * random);
}
