import type { Clock } from '../../src/base/clock.ts';
import { snowflakeAt } from '../../src/domain/snowflake.ts';

/** Hands out Discord's ids: the moment in the upper bits, then a counter, so that a later id is always larger. */
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
