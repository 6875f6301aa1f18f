/** So many at once are a rush; a handful are ordinary life. */
const RUSH = 8;
/** Answers come in waves, and between two of them it is still a rush. */
const RUSH_LASTS_MS = 500;
/** What other work may still do in a rush: so little at a time, and so often. Never nothing at all. */
const SMALL_BATCH = 2;
const SPACING_MS = 100;

/**
 * Work that somebody waits for with a limit. While there is a rush of it other work stands back: a run may reach the
 * cluster later, but Discord gives an answer three seconds.
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
