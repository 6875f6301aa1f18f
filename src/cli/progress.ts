import type { CliIo } from './io.ts';

/** One line on a terminal that tells how far long work has come. Where nobody looks, nothing is written. */
export interface Progress {
  /** Replaces the line. */
  show(text: string): void;
  /** Removes the line, before anything else is printed. */
  end(): void;
}

/** Back to the beginning of the line, and delete what is there. */
const CLEAR = '\r\u001b[K';

/** On standard error, so that standard output has only results. */
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
