/** Prints what happened, step by step, with the time each took. */
export class Timeline {
  readonly #write: (text: string) => void;
  readonly #now: () => number;
  readonly #colour: boolean;
  #startedAt = 0;

  /**
   * @param now milliseconds of a clock that never goes back
   * @param colour whether the terminal shows ANSI colours
   */
  constructor(write: (text: string) => void, now: () => number, colour: boolean) {
    this.#write = write;
    this.#now = now;
    this.#colour = colour;
  }

  /** A new story: its heading, and its clock set to zero. */
  story(heading: string): void {
    this.#startedAt = this.#now();
    this.#write(`\n${this.#paint('1', heading)}\n`);
  }

  /** One step of the story. */
  step(word: string, text: string): void {
    const elapsed = formatElapsed(this.#now() - this.#startedAt);
    this.#write(
      `  ${this.#paint('2', elapsed.padStart(7))}  ${this.#paint(colourOf(word), word.padEnd(10))} ${text}\n`,
    );
  }

  /** A line beside the story. */
  note(text: string): void {
    this.#write(`${text}\n`);
  }

  #paint(code: string, text: string): string {
    return this.#colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

function formatElapsed(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function colourOf(word: string): string {
  if (word === 'succeeded') {
    return '32';
  }
  return word === 'failed' || word === 'wrong' ? '31' : '36';
}
