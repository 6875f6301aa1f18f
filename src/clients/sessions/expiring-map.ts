import type { Clock } from '../../base/clock.ts';

/** How long entries live, and their maximum total weight. */
interface ExpiringMapLimits<T> {
  readonly ttlMs: number;
  readonly maxBytes: number;
  /** The texts of a value that count as its memory. */
  readonly textsOf: (value: T) => readonly string[];
}

interface Entry<T> {
  readonly value: T;
  readonly untilMs: number;
  readonly bytes: number;
}

/** Generous estimate of an entry's size besides its texts, in bytes. */
const OVERHEAD = 300;

/** A map whose entries expire; the oldest are removed early when all together take too much memory. */
export class ExpiringMap<T> {
  readonly #clock: Clock;
  readonly #limits: ExpiringMapLimits<T>;
  /** In the order of writing, which is the order of expiry, because all have the same lifetime. */
  readonly #entries = new Map<string, Entry<T>>();
  #bytes = 0;

  constructor(clock: Clock, limits: ExpiringMapLimits<T>) {
    this.#clock = clock;
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  set(key: string, value: T): void {
    const now = this.#clock.now().getTime();
    const bytes = OVERHEAD + [key, ...this.#limits.textsOf(value)].reduce((sum, text) => sum + 2 * text.length, 0);
    this.#delete(key);
    this.#entries.set(key, { value, untilMs: now + this.#limits.ttlMs, bytes });
    this.#bytes += bytes;
    for (const [oldest, { untilMs }] of this.#entries) {
      if (untilMs > now && this.#bytes <= this.#limits.maxBytes) {
        break;
      }
      this.#delete(oldest);
    }
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.untilMs > this.#clock.now().getTime() ? entry.value : undefined;
  }

  /** How long ago it was written, in milliseconds; undefined if there is none. */
  ageMs(key: string): number | undefined {
    const now = this.#clock.now().getTime();
    const entry = this.#entries.get(key);
    return entry !== undefined && entry.untilMs > now ? now - entry.untilMs + this.#limits.ttlMs : undefined;
  }

  #delete(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0;
    this.#entries.delete(key);
  }
}
