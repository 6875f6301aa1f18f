import { isFinished } from '../domain/run-state.ts';
import type { Observation } from './observe-workflows.ts';

interface BufferOptions<T> {
  /** Writes a batch. It must handle its own failures and never reject. */
  readonly write: (batch: readonly T[]) => Promise<void>;
  /** Maximum time that an observation waits for others, in milliseconds. */
  readonly delayMs: number;
  /** Maximum number of observations in a batch. */
  readonly limit: number;
}

/**
 * Collects the latest observation of each workflow, to write many together. One batch is filled while another is written. If both
 * are full, `add` waits, and so does the observer.
 */
export class ObservationBuffer<T extends Observation = Observation> {
  readonly #options: BufferOptions<T>;
  #waiting = new Map<string, T>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: BufferOptions<T>) {
    this.#options = options;
  }

  async add(seen: T): Promise<void> {
    const key = seen.uid || seen.name;
    const before = this.#waiting.get(key);
    if (before !== undefined && isOlder(seen, before)) {
      return;
    }
    // A new start must not overwrite an end: the retry of the run would go unnoticed.
    if (before !== undefined && isFinished(before.state) && !isFinished(seen.state)) {
      await this.flush();
    }
    this.#waiting.set(key, seen);
    if (this.#waiting.size >= this.#options.limit) {
      await this.#writing;
      void this.flush();
    } else {
      this.#timer ??= setTimeout(() => void this.flush(), this.#options.delayMs);
    }
  }

  /** Resolves when everything added so far is written. */
  async flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#writeWaiting());
    await this.#writing;
  }

  async #writeWaiting(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = [...this.#waiting.values()];
    this.#waiting = new Map();
    if (batch.length > 0) {
      await this.#options.write(batch);
    }
  }
}

function isOlder(seen: Observation, before: Observation): boolean {
  return seen.version !== undefined && before.version !== undefined && seen.version <= before.version;
}
