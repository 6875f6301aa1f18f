import type { ChildProcess } from 'node:child_process';
import { FacteurError, fileProblem } from '../base/errors.ts';

/** Everything that a command may use of its process, so that tests can run commands without one. */
export interface CliIo {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  /** The whole of standard input. */
  readStdin(): Promise<Buffer>;
  readFile(path: string): Promise<Buffer>;
  readonly pid: number;
  /** Aborted by SIGINT or SIGTERM: finish current work, then return. */
  readonly signal: AbortSignal;
  /** Aborted when standard output is closed: a command that only prints then exits. Further output is lost. */
  readonly outputClosed: AbortSignal;
  fetch(url: URL, init: RequestInit): Promise<Response>;
  /** Asks the person at the terminal a question; absent if there is none. */
  readonly ask?: (question: string) => Promise<string>;
  /** Opens a page in the person's browser; absent without one. */
  readonly openUrl?: (url: string) => void;
  /** Reads lines from standard input while output is printed; absent in tests without one. */
  readonly openPrompt?: (prompt: string, complete: (word: string) => readonly string[]) => Promise<Prompt>;
  /** Starts this program again with only this environment. */
  readonly spawnSelf?: (args: readonly string[], env: Readonly<Record<string, string>>) => Promise<ChildProcess>;
  /** Called when a service has started and the rest can wait. */
  readonly onStarted?: () => void;
  readonly homeDir: string;
  /** Where the numbered SQL files are. */
  readonly migrationsDir: URL;
}

/** The lines that a person types, one after the other. */
export interface Prompt extends AsyncIterable<string> {
  /** Prints above the line that the person is typing. */
  print(text: string): void;
  close(): void;
}

interface TextOutput {
  write(text: string | Uint8Array): unknown;
  /** Whether the output is a terminal. */
  readonly isTTY: boolean;
  /** Width of the terminal; absent without one. */
  readonly columns?: number;
}

/** How a command ended: 0 success, 1 failure, 2 wrong usage. */
export type ExitCode = 0 | 1 | 2;

/** Reads a named file, or standard input for `-`. @throws FacteurError `cli.unreadable` */
export async function readInput(io: CliIo, path: string): Promise<Buffer> {
  if (path === '-') {
    return io.readStdin();
  }
  try {
    return await io.readFile(path);
  } catch (error) {
    const message = `cannot read ${path}: ${fileProblem(error)}`;
    throw new FacteurError('cli.unreadable', message, { retryable: false, cause: error });
  }
}
