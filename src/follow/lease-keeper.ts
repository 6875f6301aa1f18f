import type { ObservableResult } from '@opentelemetry/api';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { meter } from '../base/telemetry.ts';
import { Worker } from '../base/worker.ts';
import type { Database, Subscription } from '../clients/postgres/database.ts';
import type { DueWork } from '../ledger/due-work.ts';
import { claimLease, LEASE_CHANNEL, releaseLease } from '../ledger/leases.ts';

export interface LeaseKeeperOptions {
  readonly db: Database;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly name: string;
  /** This process, and no other one ever. */
  readonly holder: string;
  readonly lifeMs: number;
  /** What the lease is for. Runs from when it is held until the signal fires, and resolves soon after that. */
  readonly work: (signal: AbortSignal) => Promise<void>;
  /** Told at every claim or renewal, at least twice in the lease's life, what waits in the queues. Must not throw. */
  readonly onDue: (due: DueWork) => void;
}

/** One time of holding the lease. */
interface Tenure {
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

const FAILURE_DELAY_MS = 1000;
/** Waiting processes spread out by this much, so that they do not all ask when the lease runs out. */
const SPREAD_MS = 500;

/**
 * Has the work done by one process at a time. A holder renews at half of the lease's life, and gives the work up by
 * its own monotonic clock when it could not. The others ask as often, and when the lease would run out, and are woken when
 * it is given back. Two at once are possible for a moment (a process that was stopped and goes on): the work must bear that.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #worker: Worker;
  readonly #heldGauge = meter().createObservableGauge('facteur_lease_held', {
    description: 'Whether this process holds the lease: one does at a time.',
  });
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

  /** Goes on after the end: a gauge keeps what it was told last, and the last word must be that it is given back. */
  readonly #observe = (result: ObservableResult): void => {
    result.observe(this.held ? 1 : 0, { lease: this.#options.name });
  };

  start(): void {
    this.#heldGauge.addCallback(this.#observe);
    this.#worker.start();
  }

  /** Waits for the work to end, then gives the lease back, so that the next process begins at once. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    await this.#end();
    const { db, name, holder, logger } = this.#options;
    try {
      await this.#subscription?.close();
      if (this.#claimed) {
        await releaseLease(db, name, holder);
      }
    } catch (error) {
      logger.info({ lease: name, error: errorMessage(error) }, 'lease could not be given back and will run out');
    }
    this.#subscription = undefined;
    this.#claimed = false;
  }

  /** One pass: claims or renews, and says when to come again. */
  async runOnce(): Promise<number> {
    const { db, name, holder, lifeMs, random, onDue } = this.#options;
    const askedAt = performance.now();
    this.#claimed = true;
    const answer = await claimLease(db, { name, holder, lifeMs });
    onDue(answer.due);
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
    const left = untilMs - performance.now();
    if (left <= 0) {
      return this.#end();
    }
    if (!this.held) {
      await this.#end();
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
    const abort = new AbortController();
    const done = work(abort.signal).catch((error: unknown) => {
      logger.error({ lease: name, error: errorMessage(error) }, 'work under the lease failed');
      abort.abort();
    });
    this.#tenure = { abort, done };
  }

  async #end(): Promise<void> {
    clearTimeout(this.#expiry);
    const tenure = this.#tenure;
    if (tenure !== undefined) {
      tenure.abort.abort();
      await tenure.done;
      this.#tenure = undefined;
      this.#options.logger.info({ lease: this.#options.name }, 'lease ended');
    }
  }

  /** Waking up by notification is a matter of speed only, so a database that offers none will do. */
  async #listen(): Promise<void> {
    const { db, name, logger } = this.#options;
    try {
      this.#subscription ??= await db.listen(LEASE_CHANNEL, (payload) => {
        if (!this.held && (payload === name || payload === '')) {
          this.#worker.nudge();
        }
      });
    } catch (error) {
      logger.info({ lease: name, error: errorMessage(error) }, 'no notifications about the lease for now');
    }
  }
}
