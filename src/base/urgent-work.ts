/** More concurrent requests than this are a rush. */
const RUSH = 8;
/** Answers come in waves: a rush lasts until this long after the last one. */
const RUSH_LASTS_MS = 500;
/** How much other work may run in a rush, and how often. Never zero. */
const SMALL_BATCH = 2;
const SPACING_MS = 100;

/**
 * Work with a deadline that somebody waits for. During a rush other work slows down: a run may reach the cluster
 * later, but Discord allows only three seconds for an answer.
 */
export class UrgentWork {
  #underWay = 0;
  #rushUntil = -Infinity;

  get isRush(): boolean {
    return this.#underWay > RUSH || performance.now() < this.#rushUntil;
  }

  /** Least time between two passes of other work, in milliseconds. */
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

  /** How much of `batch` other work may take on in one pass. */
  leave(batch: number): number {
    return this.isRush ? Math.min(batch, SMALL_BATCH) : batch;
  }
}
