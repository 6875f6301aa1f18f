import { clearLine, createInterface, cursorTo } from 'node:readline';
import type { ReadStream } from 'node:tty';
import type { Prompt } from './io.ts';

interface Terminal {
  readonly input: NodeJS.ReadableStream & Partial<Pick<ReadStream, 'isTTY'>>;
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean };
}

const HISTORY = 200;

/** Reads lines from a person, with history and completion, or from another program. Ctrl-C and Ctrl-D end the input. */
export function openPrompt(
  { input, output }: Terminal,
  text: string,
  complete: (word: string) => readonly string[],
): Prompt {
  const isTerminal = input.isTTY === true && output.isTTY === true;
  const line = createInterface({
    input,
    output,
    terminal: isTerminal,
    prompt: text,
    historySize: HISTORY,
    removeHistoryDuplicates: true,
    completer: (typed: string) => [[...complete(typed)], typed],
  });
  line.on('SIGINT', () => line.close());
  // Created now, so that lines which are already there are not lost.
  const lines = line[Symbol.asyncIterator]();
  let isWaiting = false;
  const show = (): void => {
    isWaiting = true;
    if (isTerminal) {
      line.prompt();
    }
  };
  return {
    print(said) {
      if (isTerminal) {
        cursorTo(output, 0);
        clearLine(output, 0);
      }
      output.write(`${said}\n`);
      if (isTerminal && isWaiting) {
        line.prompt(true);
      }
    },
    async *[Symbol.asyncIterator]() {
      show();
      for await (const typed of lines) {
        isWaiting = false;
        yield typed;
        show();
      }
    },
    close: () => line.close(),
  };
}
