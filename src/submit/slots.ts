/** One of the slots for concurrent creates. */
export interface Slot {
  /** When the slot was taken, in milliseconds by the clock of the slots. Runs in this slot were claimed no earlier. */
  readonly takenAtMs: number;
  /** Releases the slot; further calls do nothing. */
  release(): void;
}

/** A fixed number of slots for concurrent creates. */
export class Slots {
  readonly #size: number;
  readonly #onFree: () => void;
  readonly #elapsedMs: () => number;
  #taken = 0;
  #wanted = false;
  #told = false;

  /**
   * @param onFree called when half of the slots are free again after a request found none
   * @param elapsedMs a monotonic clock
   */
  constructor(size: number, onFree: () => void, elapsedMs: () => number) {
    this.#size = size;
    this.#onFree = onFree;
    this.#elapsedMs = elapsedMs;
  }

  get free(): number {
    return this.#size - this.#taken;
  }

  /** Whether a request found no slot and may still be waiting. */
  get wanted(): boolean {
    return this.#wanted;
  }

  /** Records that more slots could be used, or, with `false`, that nothing waits any longer. */
  want(more = true): void {
    this.#wanted = more;
    this.#told = false;
  }

  /** @returns undefined if all slots are in use */
  take(): Slot | undefined {
    if (this.free <= 0) {
      this.want();
      return undefined;
    }
    this.#taken += 1;
    let held = true;
    return {
      takenAtMs: this.#elapsedMs(),
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
