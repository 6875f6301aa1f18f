import type { RunVersion } from '../../ledger/run-changes.ts';

/** A change in its sent form, serialized once for all watchers. */
export interface LoggedChange {
  readonly runId: string;
  readonly version: RunVersion;
  /** The event, ready for the wire. */
  readonly text: string;
}

/**
 * The latest changes in order, up to a number of characters. All state of a reader is its position; a reader that
 * falls behind further has missed something.
 */
export class ChangeLog {
  readonly #maxCharacters: number;
  #changes: LoggedChange[] = [];
  #characters = 0;
  /** The number of the oldest change that is kept; they are counted from the first one ever. */
  #first = 0;

  constructor(maxCharacters: number) {
    this.#maxCharacters = maxCharacters;
  }

  /** The place behind the newest change. */
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

  /** Whether nothing after `place` was dropped. */
  reaches(place: number): boolean {
    return place >= this.#first;
  }

  /** The changes from a place on, as many as have `maxCharacters` and at least one; none at the end. */
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
