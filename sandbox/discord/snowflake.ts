import type { Clock } from '../../src/base/clock.ts';
import { snowflakeAt } from '../../src/domain/snowflake.ts';

/** Generates Discord ids: the time in the upper bits, then a counter, so a later id is always larger. */
export class Snowflakes {
  readonly #clock: Clock;
  #last = 0n;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  next(): string {
    const now = snowflakeAt(this.#clock.now().getTime());
    this.#last = now > this.#last ? now : this.#last + 1n;
    return String(this.#last);
  }
}
