import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, vi } from 'vitest';
import { startTicks } from '../../scripts/services/daemon.ts';
import { postgres } from '../../scripts/services/postgres.ts';

/** A PostgreSQL for this test only: it can be restarted without affecting other tests. */
export interface OwnPostgres {
  readonly dsn: string;
  /** Immediate shutdown, as when the machine dies, then a start on the same port. */
  restart(): Promise<void>;
  /** SIGKILL for all its processes: commits that were not flushed are lost. Then a start on the same port. */
  crash(): Promise<void>;
  /** From now on, only commits that wait for a flush cause one. */
  holdWalWriter(): Promise<void>;
  releaseWalWriter(): void;
  /** Stops all its processes, as when a machine swaps or a disk hangs: connections stay open, nothing is answered. */
  pause(): Promise<void>;
  resume(): void;
  stop(): Promise<void>;
}

/** Empty for a process that has ended since the listing. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const cache = join(import.meta.dirname, '..', '..', '.services', 'cache');
  const { value: dsn, daemons } = await postgres.start({ cache, say: () => undefined });
  const daemon = daemons[0]!;
  const { directory } = daemon;
  const [command = '', ...args] = commandOf(daemon.pid).split('\0').slice(0, -1);
  const { uid, gid } = statSync(directory);
  let { pid } = daemon;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    process.kill(pid, signal);
    await vi.waitFor(() => assertGone(pid), { interval: 20 });
  };
  const walWriter = (): number => {
    const writers = childrenOf(pid).filter((each) => commandOf(each).includes('walwriter'));
    expect(writers).toHaveLength(1);
    return writers[0] ?? 0;
  };
  /** From now on it starts no more processes. */
  const stopParent = async (): Promise<void> => {
    process.kill(pid, 'SIGSTOP');
    await expectStopped(pid);
  };
  const killAll = async (): Promise<void> => {
    await stopParent();
    const processes = [...childrenOf(pid), pid];
    processes.forEach((each) => process.kill(each, 'SIGKILL'));
    // A new server cannot start while any of the old one's processes has its shared memory.
    await vi.waitFor(() => processes.forEach(assertGone), { interval: 20 });
    // Its lock file remains. A new server respects it while the old one can be signalled, even as a zombie.
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), { interval: 20 });
  };
  const start = async (): Promise<void> => {
    const output = openSync(join(directory, 'log'), 'a');
    const child = spawn(command, args, { uid, gid, cwd: directory, stdio: ['ignore', output, output] });
    await once(child, 'spawn');
    pid = child.pid ?? 0;
    await vi.waitFor(() => ping(dsn), { interval: 50 });
  };
  return {
    dsn,
    restart: () => end('SIGQUIT').then(start),
    crash: () => killAll().then(start),
    holdWalWriter: async () => {
      await vi.waitFor(() => stopAtRest(walWriter(), dsn), { interval: 20 });
    },
    releaseWalWriter: () => process.kill(walWriter(), 'SIGCONT'),
    pause: async () => {
      await stopParent();
      childrenOf(pid).forEach((each) => process.kill(each, 'SIGSTOP'));
    },
    resume: () => [...childrenOf(pid), pid].forEach((each) => process.kill(each, 'SIGCONT')),
    stop: async () => {
      await end('SIGINT');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function childrenOf(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return list.split(' ').filter(Boolean).map(Number);
}

function assertGone(pid: number): void {
  if (startTicks(pid) !== undefined) {
    throw new Error(`PostgreSQL (${pid}) is still there`);
  }
}

/** Stops the WAL writer while it sleeps: during its work it holds a lock that every commit needs. */
async function stopAtRest(pid: number, dsn: string): Promise<void> {
  const client = new Client({ connectionString: dsn });
  await client.connect();
  try {
    process.kill(pid, 'SIGSTOP');
    await expectStopped(pid);
    const text = 'SELECT wait_event FROM pg_stat_activity WHERE pid = $1';
    const { rows } = await client.query<{ wait_event: string | null }>(text, [pid]);
    if (rows[0]?.wait_event !== 'WalWriterMain') {
      process.kill(pid, 'SIGCONT');
      throw new Error(`the writer of the log is at work: ${rows[0]?.wait_event ?? 'running'}`);
    }
  } finally {
    await client.end();
  }
}

/** Resolves when a process that got SIGSTOP has stopped. */
async function expectStopped(pid: number): Promise<void> {
  const isStopped = (): boolean => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  await vi.waitFor(() => expect(isStopped()).toBe(true), { interval: 1 });
}

async function ping(dsn: string): Promise<void> {
  const client = new Client({ connectionString: dsn, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  await client.connect();
  await client.end();
}
