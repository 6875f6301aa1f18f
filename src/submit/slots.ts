/** A place among the creates that may be under way at a time. */
export interface Slot {
  /** Gives the place back; further calls do nothing. */
  release(): void;
}

/** A fixed number of places. */
export class Slots {
  readonly #size: number;
  readonly #onFree: () => void;
  #taken = 0;
  #wanted = false;
  #told = false;

  /** @param onFree called when half of the places are free again after somebody had to go without */
  constructor(size: number, onFree: () => void) {
    this.#size = size;
    this.#onFree = onFree;
  }

  get free(): number {
    return this.#size - this.#taken;
  }

  /** Whether somebody had to go without, and is still waiting as far as is known. */
  get wanted(): boolean {
    return this.#wanted;
  }

  /** Remembers that more could be done with more places; or, `false`, that nobody waits any more. */
  want(more = true): void {
    this.#wanted = more;
    this.#told = false;
  }

  /** @returns nothing while all are taken */
  take(): Slot | undefined {
    if (this.free <= 0) {
      this.want();
      return undefined;
    }
    this.#taken += 1;
    let held = true;
    return {
      release: () => {
        if (held) {
          held = false;
          this.#taken -= 1;
          this.#announce();
        }
      },
    };
  }

  #announce(): void {
    if (this.#wanted && !this.#told && this.free * 2 >= this.#size) {
      this.#told = true;
      this.#onFree();
    }
  }
}
