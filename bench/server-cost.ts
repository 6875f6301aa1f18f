import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Database } from '../src/clients/postgres/database.ts';
import { cpuMsOf, parentOf } from './processes.ts';

/** The cost of a PostgreSQL on this machine, from its own counters and the kernel's. */
export interface ServerCost {
  /** CPU time of all its processes, including ended ones. */
  cpuMs(): number;
  /** Bytes and flushes of its WAL so far. Waits until nobody is connected to the database. */
  log(database: string): Promise<{ readonly bytes: number; readonly flushes: number }>;
}

/** @param observer connected to a database other than the measured one */
export async function observeServer(observer: Database): Promise<ServerCost> {
  const { rows } = await observer.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' });
  const server = parentOf(rows[0]?.pid ?? 0);
  const name = readFileSync(`/proc/${server}/comm`, 'utf8').trim();
  if (name !== 'postgres') {
    throw new Error('this bench reads the processor time of PostgreSQL: the server must run on this machine');
  }
  return {
    cpuMs() {
      const children = readFileSync(`/proc/${server}/task/${server}/children`, 'utf8').split(' ').filter(Boolean);
      return children.reduce(
        (sum, pid) => sum + endedOr(() => cpuMsOf(Number(pid))),
        cpuMsOf(server, 'and ended children'),
      );
    },
    async log(database) {
      // A backend reports its flushes when it ends; before that, seconds late.
      const connected = { text: 'SELECT FROM pg_stat_activity WHERE datname = $1', values: [database] };
      while ((await observer.query(connected)).rows.length > 0) {
        await wait(20);
      }
      const counted = await observer.query<{ bytes: number; flushes: number }>({
        text: `SELECT (pg_current_wal_insert_lsn() - '0/0')::float8 AS bytes,
          (SELECT sum(fsyncs)::float8 FROM pg_stat_io WHERE object = 'wal') AS flushes`,
      });
      return counted.rows[0] ?? { bytes: Number.NaN, flushes: Number.NaN };
    },
  };
}

/** The value of a process, or 0 if it ended: next time it counts among the server's ended children. */
function endedOr(read: () => number): number {
  try {
    return read();
  } catch {
    return 0;
  }
}
