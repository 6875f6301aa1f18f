import { setTimeout } from 'node:timers/promises';
import { systemTimer } from '../../base/timer.ts';
import { within } from '../../base/within.ts';

/** Time limits of a shutdown, in milliseconds. */
export interface FarewellTimes {
  /** Maximum wait for a readiness probe to see the shutdown. */
  readonly noticeMs: number;
  /** After that, the time for the load balancer to react. */
  readonly settleMs: number;
}

/**
 * The time between the request to stop and the end of listening. Closing a socket immediately resets requests that
 * are still being sent: everything is served until a readiness probe has seen the shutdown, and a moment longer.
 * Without probes there is no wait.
 */
export class Farewell {
  readonly #times: FarewellTimes;
  readonly #noticed = Promise.withResolvers<void>();
  #isProbed = false;
  #taken: Promise<void> | undefined;

  constructor(times: FarewellTimes) {
    this.#times = times;
  }

  get begun(): boolean {
    return this.#taken !== undefined;
  }

  /** Records that a readiness probe is being answered, according to `begun`. */
  probed(): void {
    this.#isProbed = true;
    if (this.begun) {
      this.#noticed.resolve();
    }
  }

  /** Resolves when the wait is over; from the first call on, the process is not ready. */
  take(): Promise<void> {
    this.#taken ??= this.#isProbed ? this.#wait() : Promise.resolve();
    return this.#taken;
  }

  async #wait(): Promise<void> {
    const { inTime } = await within(systemTimer, this.#times.noticeMs, () => this.#noticed.promise);
    if (inTime) {
      await setTimeout(this.#times.settleMs);
    }
  }
}
