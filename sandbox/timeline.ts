/** Prints what happened, step by step, with the time each took. */
export class Timeline {
  readonly #write: (text: string) => void;
  readonly #now: () => number;
  readonly #colour: boolean;
  #startedAt = 0;

  /**
   * @param now monotonic time in milliseconds
   * @param colour whether the terminal supports ANSI colors
   */
  constructor(write: (text: string) => void, now: () => number, colour: boolean) {
    this.#write = write;
    this.#now = now;
    this.#colour = colour;
  }

  /** Starts a new story: prints its heading and resets its clock. */
  story(heading: string): void {
    this.#startedAt = this.#now();
    this.#write(`\n${this.#paint('1', heading)}\n`);
  }

  /** Prints one step of the story. */
  step(word: string, text: string): void {
    const elapsed = formatElapsed(this.#now() - this.#startedAt);
    this.#write(
      `  ${this.#paint('2', elapsed.padStart(7))}  ${this.#paint(colourOf(word), word.padEnd(10))} ${text}\n`,
    );
  }

  /** Prints a line outside the story. */
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
