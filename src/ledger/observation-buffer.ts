import { isFinished } from '../domain/run-state.ts';
import type { Observation } from './observe-workflows.ts';

interface BufferOptions<T> {
  /** Writes a batch; takes care of its own failures and never rejects. */
  readonly write: (batch: readonly T[]) => Promise<void>;
  /** How long an observation waits for company at the most, in milliseconds. */
  readonly delayMs: number;
  /** Observations in a batch at the most. */
  readonly limit: number;
}

/**
 * Collects observations to write them together, the latest of each workflow. One batch is being written while one is
 * filled. When both are full, `add` waits, and with it whoever observes.
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
    // An end must not be overwritten by a new beginning: that the run was retried would go unnoticed.
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
