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

  /** @param onFree called when half of the places are free again after somebody had to go without */
  constructor(size: number, onFree: () => void) {
    this.#size = size;
    this.#onFree = onFree;
  }

  get free(): number {
    return this.#size - this.#taken;
  }

  /** Remembers that more could be done with more places. */
  want(): void {
    this.#wanted = true;
  }

  /** @returns nothing while all are taken */
  take(): Slot | undefined {
    if (this.free <= 0) {
      this.#wanted = true;
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
    if (this.#wanted && this.free * 2 >= this.#size) {
      this.#wanted = false;
      this.#onFree();
    }
  }
}
