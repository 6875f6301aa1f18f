import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { addAbortSignal } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { buildVersion } from './cli/build-version.ts';
import { commandsFor } from './cli/wiring.ts';
import type { CliIo } from './cli/io.ts';
import { commandName, runCli } from './cli/program.ts';

/** How long remaining work may delay the exit, in milliseconds. */
const END_MS = 1000;
/** These commands finish the work in progress, however long that takes. */
const THOROUGH = new Set(['serve', 'consume', 'codex-listen', 'sandbox', 'migrate', 'maintain']);

/**
 * The only place that touches the process: arguments, environment, signals and the exit code.
 *
 * @param onStarted called when a service has started
 */
export async function main(onStarted: () => void = () => undefined): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Once: a second signal reaches the default handler and exits immediately.
    process.once(signal, () => stop.abort());
  }
  const outputClosed = new AbortController();
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') {
      outputClosed.abort();
    } else if (process.exitCode !== 1) {
      process.exitCode = 1;
      process.stderr.write(`facteur: standard output: ${error.message}\n`);
    }
  });
  // Nobody reads the output any more.
  process.stderr.on('error', () => undefined);
  const io: CliIo = {
    args: process.argv.slice(2),
    env: process.env,
    pid: process.pid,
    stdout: process.stdout,
    stderr: process.stderr,
    readStdin: () => readStdin(stop.signal),
    readFile: (path) => readFile(path),
    signal: stop.signal,
    outputClosed: outputClosed.signal,
    fetch,
    ...(process.stdin.isTTY && process.stderr.isTTY ? { ask: (question) => ask(question, stop.signal) } : {}),
    openUrl: (url) => void openUrl(url),
    openPrompt: async (prompt, complete) =>
      (await import('./cli/terminal-prompt.ts')).openPrompt(
        { input: process.stdin, output: process.stdout },
        prompt,
        complete,
      ),
    spawnSelf,
    onStarted,
    homeDir: homeDirectory(),
    migrationsDir: new URL('../migrations/', import.meta.url),
  };
  const build = await buildVersion(process.env, new URL('../package.json', import.meta.url));
  const done = new AbortController();
  if (!THOROUGH.has(commandName(io.args))) {
    void endSoon(stop.signal, done.signal);
  }
  const code = await runCli(io, await commandsFor(io.args, build));
  done.abort();
  // Failed output is a failure even if everything else succeeded.
  process.exitCode = code === 0 ? (process.exitCode ?? 0) : code;
  // Everything is closed by now. Anything that still keeps the process alive, such as an export to a collector that hangs, has
  // had its time.
  setTimeout(() => process.exit(), END_MS).unref();
}

/** Ends a stopped command even if the server that it waits for stays silent. */
async function endSoon(stop: AbortSignal, done: AbortSignal): Promise<void> {
  await once(stop, 'abort');
  await pause(END_MS, undefined, { ref: false });
  if (!done.aborted) {
    process.stderr.write('facteur: stopped before it was done\n');
    process.exit(1);
  }
}

/** With this Node, whichever one the system has. */
async function spawnSelf(args: readonly string[], env: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const { spawn } = await import('node:child_process');
  const program = [...process.execArgv, process.argv[1] ?? '', ...args];
  return spawn(process.execPath, program, { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Uses the system's own program; without one, the user has the printed address. */
async function openUrl(url: string): Promise<void> {
  const { spawn } = await import('node:child_process');
  const opener = process.platform === 'darwin' ? 'open' : 'xdg-open';
  spawn(opener, [url], { stdio: 'ignore', detached: true })
    .on('error', () => undefined)
    .unref();
}

/** Empty when the person closes the input or stops the process. */
async function ask(question: string, signal: AbortSignal): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const line = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new Promise<string>((resolve) => line.once('close', () => resolve('')));
  try {
    return await Promise.race([line.question(question, { signal }).catch(() => ''), closed]);
  } finally {
    line.close();
  }
}

/** A container's user may have no home and no name, and then no kubeconfig either. */
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

/** Rejects when the process has to stop: the writer may never close its end. */
async function readStdin(signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of addAbortSignal(signal, process.stdin)) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
