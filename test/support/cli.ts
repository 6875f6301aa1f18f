import { readFile } from 'node:fs/promises';
import type { CliIo, ExitCode } from '../../src/cli/io.ts';
import { runCli, type RegisterCommand } from '../../src/cli/program.ts';
import { commandsFor } from '../../src/cli/wiring.ts';
import { MIGRATIONS } from './database.ts';

/** The exit code and the output of a command line. */
export interface CliRun {
  readonly code: ExitCode;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as bytes. */
  readonly bytes: Buffer;
}

/** The environment of a command line: without columns there is no terminal. */
export type CliSurroundings = Partial<Omit<CliIo, 'stdout' | 'stderr'>> & { readonly columns?: number };

/** Runs one command line in this process. */
export async function runCommandLine(
  args: readonly string[],
  commands: readonly RegisterCommand[],
  { columns, ...overrides }: CliSurroundings = {},
): Promise<CliRun> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const terminal = columns === undefined ? { isTTY: false } : { isTTY: true, columns };
  const code = await runCli(
    {
      args,
      env: {},
      pid: process.pid,
      stdout: { write: (text) => out.push(Buffer.from(text)), ...terminal },
      stderr: { write: (text) => err.push(Buffer.from(text)), ...terminal },
      readStdin: async () => Buffer.alloc(0),
      readFile: (path) => readFile(path),
      fetch: (url, init) => fetch(url, init),
      signal: new AbortController().signal,
      outputClosed: new AbortController().signal,
      homeDir: '/nonexistent',
      migrationsDir: MIGRATIONS,
      ...overrides,
    },
    commands,
  );
  const bytes = Buffer.concat(out);
  return { code, bytes, stdout: bytes.toString(), stderr: Buffer.concat(err).toString() };
}

/** Runs one command line of the whole program. */
export async function runProgram(args: readonly string[], surroundings: CliSurroundings): Promise<CliRun> {
  return runCommandLine(args, await commandsFor(args, { version: '1.2.3', commit: 'abcdef0' }), surroundings);
}
