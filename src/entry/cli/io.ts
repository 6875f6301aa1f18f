import { errorMessage, FacteurError } from '../../base/errors.ts';

/** Everything a command may touch of the process it runs in, so that tests run commands without one. */
export interface CliIo {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  /** The whole of standard input. */
  readStdin(): Promise<Buffer>;
  readFile(path: string): Promise<Buffer>;
  readonly pid: number;
  /** Aborted by SIGINT or SIGTERM: finish what is under way, then return. */
  readonly signal: AbortSignal;
  fetch(url: URL, init: RequestInit): Promise<Response>;
  readonly homeDir: string;
  /** Where the numbered SQL files are. */
  readonly migrationsDir: URL;
}

export interface TextOutput {
  write(text: string | Uint8Array): unknown;
  /** Whether a person is looking. */
  readonly isTTY: boolean;
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
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const reason = missing ? 'there is no such file' : errorMessage(error);
    throw new FacteurError('cli.unreadable', `${path} cannot be read: ${reason}`, { retryable: false, cause: error });
  }
}
