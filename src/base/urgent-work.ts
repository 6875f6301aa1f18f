/** More concurrent requests than this are a rush. */
const RUSH = 8;
/** Requests come in waves, so a rush ends this long after the last one. */
const RUSH_LASTS_MS = 500;
/** Limits on other work during a rush: items per pass, and time between passes. Never zero. */
const SMALL_BATCH = 2;
const SPACING_MS = 100;

/**
 * Work with a deadline, for which a user waits. During a rush other work slows down: a run may reach the cluster later, but
 * Discord allows only three seconds for an answer.
 */
export class UrgentWork {
  #underWay = 0;
  #rushUntil = -Infinity;

  get isRush(): boolean {
    return this.#underWay > RUSH || performance.now() < this.#rushUntil;
  }

  /** Minimum time between two passes of other work, in milliseconds. */
  get spacingMs(): number {
    return this.isRush ? SPACING_MS : 0;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      if (this.#underWay > RUSH) {
        this.#rushUntil = performance.now() + RUSH_LASTS_MS;
      }
      this.#underWay -= 1;
    }
  }

  /** How many items of `batch` other work may take in one pass. */
  leave(batch: number): number {
    return this.isRush ? Math.min(batch, SMALL_BATCH) : batch;
  }
}
