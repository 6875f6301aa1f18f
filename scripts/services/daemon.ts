import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chownSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** A process that we started; the start time distinguishes it from a later one with the same pid. */
export interface DaemonRecord {
  readonly pid: number;
  /** Start time in the kernel's ticks since boot. */
  readonly startTicks: string;
  /** Its files; removed with it. */
  readonly directory: string;
  readonly stopSignal: 'SIGINT' | 'SIGTERM';
}

/** The user that a server runs as: some refuse to run as root. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

export interface DaemonOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly argv0?: string;
  readonly directory: string;
  readonly identity: Identity | undefined;
  readonly stopSignal: 'SIGINT' | 'SIGTERM';
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the process as soon as it is running. */
  readonly began?: ((daemon: DaemonRecord) => void) | undefined;
  /** Resolves when the server answers, rejects while it does not. */
  readonly ready: () => Promise<void>;
}

/** How long a server may take to become ready, and to stop, in milliseconds. After the latter it is killed. */
const READY_MS = 120_000;
const STOP_MS = 20_000;

/** A new directory for a server's files: with a short path, because it may contain sockets, and readable by the server's user. */
export function serverDirectory(name: string, identity: Identity | undefined): string {
  const directory = mkdtempSync(join(tmpdir(), `facteur-${name}-`));
  if (identity !== undefined) {
    chownSync(directory, identity.uid, identity.gid);
  }
  return directory;
}

/** Below Linux's ephemeral ports (from 32768): only another caller of {@link freePort} can take one meanwhile. */
const PORTS = [10_000, 32_000] as const;

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const port = randomInt(...PORTS);
  const server = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
  return isFree ? port : freePort();
}

/** Starts a server that outlives this process, and waits until it is ready; its output goes to `log` in its directory. */
export async function startDaemon(options: DaemonOptions): Promise<DaemonRecord> {
  const log = join(options.directory, 'log');
  const output = openSync(log, 'a');
  const child = spawn(options.command, options.args, {
    detached: true,
    stdio: ['ignore', output, output],
    cwd: options.directory,
    env: { ...process.env, ...options.env },
    ...options.identity,
    ...(options.argv0 === undefined ? {} : { argv0: options.argv0 }),
  });
  const spawned = Promise.withResolvers<void>();
  child.once('spawn', () => spawned.resolve()).once('error', (error) => spawned.reject(error));
  await spawned.promise;
  child.unref();
  const pid = child.pid ?? 0;
  const record = {
    pid,
    startTicks: startTicks(pid) ?? '',
    directory: options.directory,
    stopSignal: options.stopSignal,
  };
  options.began?.(record);
  if (!(await eventually(options.ready, READY_MS, () => child.exitCode === null && child.signalCode === null))) {
    const said = readFileSync(log, 'utf8').trim().split('\n').slice(-15).join('\n');
    await stopDaemon(record);
    throw new Error(`${options.command} did not become ready; it said:\n${said}`);
  }
  return record;
}

/** Whether the process still exists and is still the one that was started. */
export function isRunning(record: DaemonRecord): boolean {
  return startTicks(record.pid) === record.startTicks;
}

/** Ends the process, by default with SIGKILL like a crash, and keeps its files; resolves when it is gone. */
export async function killDaemon(record: DaemonRecord, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (isRunning(record)) {
    process.kill(record.pid, signal);
  }
  while (isRunning(record)) {
    await setTimeout(20);
  }
}

/** Stops the process, by force if it takes too long, and removes its files. */
export async function stopDaemon(record: DaemonRecord): Promise<void> {
  if (isRunning(record)) {
    process.kill(record.pid, record.stopSignal);
    if (!(await eventually(async () => assertGone(record), STOP_MS))) {
      await killDaemon(record);
    }
  }
  rmSync(record.directory, { recursive: true, force: true });
}

function assertGone(record: DaemonRecord): void {
  if (isRunning(record)) {
    throw new Error(`process ${record.pid} is still there`);
  }
}

/**
 * The start time of a process (field 22 of /proc/PID/stat); undefined if it is gone. A zombie counts as gone once its other
 * threads have exited (field 20): until then they keep its sockets and memory.
 */
export function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, field 2 in parentheses, may contain any character.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' && Number(fields[17]) <= 1 ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Retries until `attempt` succeeds; false on a timeout, or if `hope` is lost. */
async function eventually(attempt: () => Promise<void>, limitMs: number, hope = () => true): Promise<boolean> {
  const deadline = performance.now() + limitMs;
  while (performance.now() < deadline && hope()) {
    try {
      await attempt();
      return true;
    } catch {
      await setTimeout(50);
    }
  }
  return false;
}
