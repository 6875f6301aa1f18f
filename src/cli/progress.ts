import type { CliIo } from './io.ts';

/** One line on a terminal that shows the progress of long work. Without a terminal, nothing is written. */
export interface Progress {
  /** Replaces the line. */
  show(text: string): void;
  /** Removes the line, before anything else is printed. */
  end(): void;
}

/** Moves to the beginning of the line and clears it. */
const CLEAR = '\r\u001b[K';

/** Writes to standard error: standard output has only results. */
export function openProgress({ stderr }: Pick<CliIo, 'stderr'>): Progress {
  let shown = false;
  const write = (text: string): void => {
    if (stderr.isTTY) {
      stderr.write(`${CLEAR}${text}`);
    }
  };
  return {
    show(text) {
      shown = true;
      write(text);
    },
    end() {
      if (shown) {
        write('');
      }
    },
  };
}
