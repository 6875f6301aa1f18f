import type { Clock } from '../base/clock.ts';

/** How long a cached answer stays valid, in milliseconds: durations change slowly. */
const FRESH_MS = 5 * 60_000;
const MAX_COMMANDS = 200;

/** Caches how long each command usually takes. */
export class UsualTimes {
  readonly #read: (command: string) => Promise<number | undefined>;
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly ms: number | undefined; readonly until: number }>();

  constructor(read: (command: string) => Promise<number | undefined>, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  /** Undefined if unknown or unreadable: a message is worth sending without it. */
  async of(command: string): Promise<number | undefined> {
    const now = this.#clock.now().getTime();
    const known = this.#known.get(command);
    if (known !== undefined && now < known.until) {
      return known.ms;
    }
    const ms = await this.#read(command).catch(() => undefined);
    if (this.#known.size >= MAX_COMMANDS) {
      this.#known.clear();
    }
    this.#known.set(command, { ms, until: now + FRESH_MS });
    return ms;
  }
}
