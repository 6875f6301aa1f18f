import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { buildVersion } from './build-version.ts';
import { allCommands } from './commands.ts';
import type { CliIo } from './entry/cli/io.ts';
import { runCli } from './entry/cli/program.ts';

/** How long what is left may hold up the end of the process, in milliseconds. */
const END_MS = 1000;

/** The one place that touches the process: arguments, environment, signals and the exit code. */
export async function main(): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Once: a second signal finds the default handler again and means "now".
    process.once(signal, () => stop.abort());
  }
  const io: CliIo = {
    args: process.argv.slice(2),
    env: process.env,
    pid: process.pid,
    stdout: process.stdout,
    stderr: process.stderr,
    readStdin,
    readFile: (path) => readFile(path),
    signal: stop.signal,
    fetch,
    homeDir: homeDirectory(),
    migrationsDir: new URL('../migrations/', import.meta.url),
  };
  process.exitCode = await runCli(io, allCommands(await buildVersion(process.env)));
  // Everything is closed by now. What holds the process all the same (an export to a collector that hangs) had its time.
  setTimeout(() => process.exit(), END_MS).unref();
}

/** A container's user may have no home and no name; then there is no kubeconfig in it either. */
function homeDirectory(): string {
  try {
    return homedir();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_SYSTEM_ERROR') {
      return '/';
    }
    throw error;
  }
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
