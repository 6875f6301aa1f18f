import type { Clock } from '../../base/clock.ts';

/** A map that forgets: each entry after its time, and the oldest when there are too many. */
export class ExpiringMap<T> {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #maxEntries: number;
  /** In the order of writing, which with one time to live is the order of expiry. */
  readonly #entries = new Map<string, { readonly value: T; readonly untilMs: number }>();

  constructor(clock: Clock, ttlMs: number, maxEntries: number) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  set(key: string, value: T): void {
    const now = this.#clock.now().getTime();
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs: now + this.#ttlMs });
    for (const [oldest, { untilMs }] of this.#entries) {
      if (untilMs > now && this.#entries.size <= this.#maxEntries) {
        break;
      }
      this.#entries.delete(oldest);
    }
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.untilMs > this.#clock.now().getTime() ? entry.value : undefined;
  }
}
