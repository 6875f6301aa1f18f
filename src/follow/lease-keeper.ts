import type { ObservableResult } from '@opentelemetry/api';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { gauge } from '../base/metrics.ts';
import { Worker } from '../base/worker.ts';
import type { Database, Subscription } from '../clients/postgres/database.ts';
import { LEASE_CHANNEL, releaseLease, type LeaseAnswer, type LeaseRequest } from '../ledger/leases.ts';

interface LeaseKeeperOptions {
  readonly db: Database;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly name: string;
  /** Uniquely identifies this process. */
  readonly holder: string;
  readonly lifeMs: number;
  /**
   * The work under the lease. It runs from when the lease is acquired until the first signal fires, and may continue writing
   * until the second fires. A lease expires if Postgres does not answer; the second signal fires when it answers again or the
   * process stops.
   */
  readonly work: (signal: AbortSignal, ended: AbortSignal) => Promise<void>;
  /** Requests the lease, or renews it. */
  readonly claim: (request: LeaseRequest) => Promise<Pick<LeaseAnswer, 'held' | 'expiresInMs'>>;
}

/** A period of holding the lease. */
interface Tenure {
  readonly abort: AbortController;
  readonly ended: AbortController;
  readonly done: Promise<void>;
}

const FAILURE_DELAY_MS = 1000;
/** Waiting processes spread their requests over this time, so they do not all ask when the lease expires. */
const SPREAD_MS = 500;

/**
 * Runs the work in one process at a time. The holder renews at half of the lease's life. If it cannot, it stops the work when the
 * lease expires by its own monotonic clock. The others ask as often, and when the lease would expire, and are woken when it is
 * released. For a moment two holders are possible (after a process was paused): the work must tolerate that.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #worker: Worker;
  readonly #heldGauge = gauge('facteur_lease_held');
  #tenure: Tenure | undefined;
  #expiry: NodeJS.Timeout | undefined;
  #subscription: Subscription | undefined;
  /** A claim was sent, so the lease may be ours even when no answer came. */
  #claimed = false;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#worker = new Worker({
      name: `lease ${options.name}`,
      logger: options.logger,
      pass: () => this.runOnce(),
      failureDelayMs: Math.min(FAILURE_DELAY_MS, options.lifeMs / 3),
    });
  }

  get held(): boolean {
    return this.#tenure?.abort.signal.aborted === false;
  }

  /** Remains registered after the end: a gauge keeps its last value, which must be the release. */
  readonly #observe = (result: ObservableResult): void => {
    result.observe(this.held ? 1 : 0, { lease: this.#options.name });
  };

  start(delayMs = 0): void {
    this.#heldGauge.addCallback(this.#observe);
    this.#worker.start(delayMs);
  }

  /** Waits for the work to end, then releases the lease, so the next process begins immediately. */
  async stop(): Promise<void> {
    // Each of these takes a while if Postgres does not answer, so none waits for another unnecessarily.
    this.#abort();
    await this.#worker.stop();
    await this.#end();
    const { db, name, holder, logger } = this.#options;
    const released = this.#claimed ? releaseLease(db, name, holder) : undefined;
    const [, release] = await Promise.allSettled([this.#subscription?.close(), released]);
    if (release.status === 'rejected') {
      const error = errorMessage(release.reason);
      logger.info({ lease: name, error }, 'could not release the lease; it will expire');
    }
    this.#subscription = undefined;
    this.#claimed = false;
  }

  /** One pass: claims or renews, and returns when to run again. */
  async runOnce(): Promise<number> {
    const { name, holder, lifeMs, random, claim } = this.#options;
    const askedAt = performance.now();
    this.#claimed = true;
    const answer = await claim({ name, holder, lifeMs });
    if (answer.held) {
      await this.#hold(askedAt + lifeMs);
    } else {
      await this.#end();
    }
    await this.#listen();
    return Math.min(lifeMs / 2, answer.held ? Infinity : answer.expiresInMs + random() * SPREAD_MS);
  }

  async #hold(untilMs: number): Promise<void> {
    clearTimeout(this.#expiry);
    if (!this.held) {
      await this.#end();
    }
    // The previous work may have continued writing for a while.
    const left = untilMs - performance.now();
    if (left <= 0) {
      return this.#end();
    }
    if (!this.held) {
      this.#begin();
    }
    this.#expiry = setTimeout(() => {
      this.#options.logger.warn({ lease: this.#options.name }, 'lease was not renewed in time');
      this.#tenure?.abort.abort();
    }, left);
    return undefined;
  }

  #begin(): void {
    const { name, holder, logger, work } = this.#options;
    logger.info({ lease: name, holder }, 'lease taken');
    const [abort, ended] = [new AbortController(), new AbortController()];
    const done = work(abort.signal, ended.signal).catch((error: unknown) => {
      logger.error({ lease: name, error: errorMessage(error) }, 'work under the lease failed');
      abort.abort();
    });
    this.#tenure = { abort, ended, done };
  }

  async #end(): Promise<void> {
    clearTimeout(this.#expiry);
    const tenure = this.#tenure;
    if (tenure !== undefined) {
      this.#abort();
      await tenure.done;
      this.#tenure = undefined;
      this.#options.logger.info({ lease: this.#options.name }, 'lease ended');
    }
  }

  #abort(): void {
    this.#tenure?.abort.abort();
    this.#tenure?.ended.abort();
  }

  /** Notifications only save time: it also works with a database that has none. */
  async #listen(): Promise<void> {
    const { db, name, logger } = this.#options;
    try {
      this.#subscription ??= await db.listen(LEASE_CHANNEL, (payload) => {
        if (!this.held && (payload === name || payload === '')) {
          this.#worker.nudge();
        }
      });
    } catch (error) {
      logger.info({ lease: name, error: errorMessage(error) }, 'no notifications about the lease at the moment');
    }
  }
}
