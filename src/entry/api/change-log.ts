import type { RunVersion } from '../../ledger/run-changes.ts';

/** A change in serialized form, made once for all watchers. */
export interface LoggedChange {
  readonly runId: string;
  readonly version: RunVersion;
  /** The event in its wire format. */
  readonly text: string;
}

/**
 * The latest changes in order, up to a number of characters. A reader's only state is its position; a reader that falls behind
 * further has missed changes.
 */
export class ChangeLog {
  readonly #maxCharacters: number;
  #changes: LoggedChange[] = [];
  #characters = 0;
  /** The number of the oldest kept change, counting from the first one ever. */
  #first = 0;

  constructor(maxCharacters: number) {
    this.#maxCharacters = maxCharacters;
  }

  /** The position after the newest change. */
  get end(): number {
    return this.#first + this.#changes.length;
  }

  append(changes: readonly LoggedChange[]): void {
    this.#changes.push(...changes);
    this.#characters += lengthOf(changes);
    let dropped = 0;
    while (this.#characters > this.#maxCharacters) {
      this.#characters -= (this.#changes[dropped] as LoggedChange).text.length;
      dropped += 1;
    }
    this.#changes.splice(0, dropped);
    this.#first += dropped;
  }

  /** Whether no change after `place` was dropped. */
  reaches(place: number): boolean {
    return place >= this.#first;
  }

  /** Changes from a position on, up to `maxCharacters` but at least one; none at the end. */
  read(place: number, maxCharacters: number): readonly LoggedChange[] {
    const changes = this.#changes.slice(place - this.#first);
    let characters = 0;
    const beyond = changes.findIndex(({ text }, index) => {
      characters += text.length;
      return index > 0 && characters > maxCharacters;
    });
    return beyond === -1 ? changes : changes.slice(0, beyond);
  }
}

function lengthOf(changes: readonly LoggedChange[]): number {
  return changes.reduce((sum, { text }) => sum + text.length, 0);
}
