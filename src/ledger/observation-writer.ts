import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import { errorMessage, FacteurError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { pause } from '../base/timer.ts';
import type { Database } from '../clients/postgres/database.ts';
import { type Durability, type Observation, type Observed, observeWorkflows } from './observe-workflows.ts';

interface WriterDeps {
  readonly db: Database;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** When it fires, pending observations get one more attempt. */
  readonly signal: AbortSignal;
  readonly durability: Durability;
}

const BACKOFF: BackoffLimits = { firstMs: 100, maxMs: 10_000 };

/** Writes observations to the ledger, however long Postgres is unavailable. */
export class ObservationWriter {
  readonly #deps: WriterDeps;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  /**
   * Writes a batch, retrying as needed; never rejects. If Postgres cannot store one observation, the others are still written.
   *
   * @returns the effects on the runs; undefined if an attempt fails after the signal fired
   */
  async write(batch: readonly Observation[]): Promise<readonly Observed[] | undefined> {
    if (batch.length === 0) {
      return [];
    }
    const { db, durability, logger } = this.#deps;
    const observed = await this.persist(() => observeWorkflows(db, batch, durability));
    if (!(observed instanceof FacteurError)) {
      return observed;
    }
    if (batch.length === 1) {
      logger.error({ workflow: batch[0]?.name, error: errorMessage(observed) }, 'observation was dropped');
      return [];
    }
    const middle = Math.ceil(batch.length / 2);
    const halves = [await this.write(batch.slice(0, middle)), await this.write(batch.slice(middle))];
    return halves.includes(undefined) ? undefined : halves.flatMap((half) => half ?? []);
  }

  /**
   * Retries a statement until it succeeds.
   *
   * @returns its result, or a permanent error; undefined if an attempt fails after the signal fired
   */
  async persist<T>(statement: () => Promise<T>): Promise<T | FacteurError | undefined> {
    const { logger, random, signal } = this.#deps;
    for (let attempt = 1; ; attempt += 1) {
      const isLast = signal.aborted;
      try {
        return await statement();
      } catch (error) {
        if (error instanceof FacteurError && !error.retryable) {
          return error;
        }
        logger.warn({ attempt, error: errorMessage(error) }, 'observations could not be written yet');
        if (isLast) {
          return undefined;
        }
        await pause(backoffMs(attempt, BACKOFF, random()), signal);
      }
    }
  }
}
