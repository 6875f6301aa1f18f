/** Maximum rate of requests per run, and the burst. */
const RATE_PER_SECOND = 10;
const BURST = 50;
/** Above this number, buckets that are full again are deleted. */
const MAX_BUCKETS = 10_000;

/** Keeps a run that reports in a loop from starving the others in this process. */
export class RunRate {
  readonly #now: () => number;
  /** The remaining burst of each run, and when it was calculated. */
  readonly #buckets = new Map<string, { readonly left: number; readonly at: number }>();

  /** @param now milliseconds of a monotonic clock */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Counts one request. @returns undefined, or the number of seconds after which to retry */
  take(runId: string): number | undefined {
    const at = this.#now();
    const left = this.#left(runId, at);
    if (left < 1) {
      return Math.ceil((1 - left) / RATE_PER_SECOND);
    }
    this.#forget(at);
    this.#buckets.set(runId, { left: left - 1, at });
    return undefined;
  }

  #left(runId: string, at: number): number {
    const bucket = this.#buckets.get(runId);
    return bucket === undefined ? BURST : Math.min(BURST, bucket.left + ((at - bucket.at) / 1000) * RATE_PER_SECOND);
  }

  #forget(at: number): void {
    if (this.#buckets.size >= MAX_BUCKETS) {
      for (const runId of this.#buckets.keys()) {
        if (this.#left(runId, at) >= BURST) {
          this.#buckets.delete(runId);
        }
      }
    }
  }
}
