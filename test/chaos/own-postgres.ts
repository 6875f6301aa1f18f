import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { vi } from 'vitest';
import { postgres } from '../../scripts/services/postgres.ts';

/** A PostgreSQL of the test's own, so that it may be restarted while other tests use theirs. */
export interface OwnPostgres {
  readonly dsn: string;
  /** Immediate shutdown, as when the machine dies, and up again on the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const cache = join(import.meta.dirname, '..', '..', '.services', 'cache');
  const { value: dsn, daemon } = await postgres.start({ cache, say: () => undefined });
  const { directory } = daemon;
  const [command = '', ...args] = readFileSync(`/proc/${daemon.pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  const { uid, gid } = statSync(directory);
  let { pid } = daemon;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    process.kill(pid, signal);
    await vi.waitFor(() => assertGone(pid), { timeout: 30_000, interval: 20 });
  };
  return {
    dsn,
    restart: async () => {
      await end('SIGQUIT');
      const output = openSync(join(directory, 'log'), 'a');
      const child = spawn(command, args, { uid, gid, cwd: directory, stdio: ['ignore', output, output] });
      await once(child, 'spawn');
      pid = child.pid ?? 0;
      await vi.waitFor(() => ping(dsn), { timeout: 30_000, interval: 50 });
    },
    stop: async () => {
      await end('SIGINT');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A zombie that waits for its parent's attention counts as gone. */
function assertGone(pid: number): void {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return;
  }
  if (!stat.includes(') Z ')) {
    throw new Error(`PostgreSQL (${pid}) is still there`);
  }
}

async function ping(dsn: string): Promise<void> {
  const client = new Client({ connectionString: dsn, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  await client.connect();
  await client.end();
}
