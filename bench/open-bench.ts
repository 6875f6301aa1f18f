import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Queryable } from '../src/clients/postgres/database.ts';
import { createTestDatabase, type TestDatabase } from '../test/support/database.ts';
import { cpuMsOf } from './processes.ts';
import { renderTable, resultPath, type BenchResult, type Table } from './results.ts';

/** A production build to measure instead of the sources. */
export const FOLDER = process.env['BENCH_FOLDER'];

/** A migrated database on a real server. */
export async function createBenchDatabase(): Promise<TestDatabase> {
  const database = await createTestDatabase();
  if (!database.dsn.startsWith('postgres')) {
    throw new Error('this bench needs FACTEUR_TEST_POSTGRES_DSN: its first lines say how to run it');
  }
  return database;
}

/** What every bench has: a database of its own, and a way to report results. */
export interface Bench {
  readonly database: TestDatabase;
  /** Prints the tables, and writes them with their origin to `bench/results/`. */
  report(tables: Readonly<Record<string, Table>>): void;
}

/**
 * Starts a bench. Records the load of the machine before it.
 *
 * @param method duration and number of rounds, for the document
 */
export async function openBench(name: string, method: string): Promise<Bench> {
  const before = { loadAverage: Math.round((loadavg()[0] ?? 0) * 10) / 10, processes: await busyProcesses() };
  const database = await createBenchDatabase();
  const origin = {
    date: new Date().toISOString().slice(0, 10),
    commit: git('rev-parse', '--short', 'HEAD'),
    dirty: git('status', '--porcelain', '--untracked-files=no') !== '',
    build: FOLDER === undefined ? 'sources' : 'production',
    method,
    machine: await describeMachine(database.db),
    before,
  } as const;
  return {
    database,
    report: (tables) => {
      Object.values(tables).forEach((table) => console.log(`${renderTable(table)}\n`));
      const result: BenchResult = { ...origin, tables };
      writeFileSync(resultPath(name), `${JSON.stringify(result, null, 2)}\n`);
      console.log(`written to ${resultPath(name)}; "npm run performance" takes it into the document`);
    },
  };
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
}

async function describeMachine(db: Queryable): Promise<BenchResult['machine']> {
  const setting = async (name: string): Promise<string> =>
    (await db.query<{ value: string }>({ text: 'SELECT current_setting($1) AS value', values: [name] })).rows[0]
      ?.value ?? '';
  return {
    processor: cpus()[0]?.model.trim() ?? '',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    postgres: (await setting('server_version')).split(' ')[0] ?? '',
    fsync: await setting('fsync'),
    synchronousCommit: await setting('synchronous_commit'),
  };
}

/** The names of other processes that use more than a fiftieth of a core. */
async function busyProcesses(): Promise<string[]> {
  const seconds = 2;
  const earlier = processorTimes();
  await wait(seconds * 1000);
  const cores = new Map<string, number>();
  for (const [pid, { name, ms }] of processorTimes()) {
    const used = (ms - (earlier.get(pid)?.ms ?? 0)) / 1000 / seconds;
    cores.set(name, (cores.get(name) ?? 0) + used);
  }
  return [...cores]
    .filter(([, used]) => used > 0.02)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, used]) => `${name} (${used.toFixed(2)} cores)`);
}

function processorTimes(): Map<number, { readonly name: string; readonly ms: number }> {
  const pids = readdirSync('/proc').map(Number);
  const others = pids.filter((pid) => pid > 0 && pid !== process.pid);
  return new Map(
    others.flatMap((pid) => {
      try {
        const name = readFileSync(join('/proc', String(pid), 'comm'), 'utf8').trim();
        return [[pid, { name, ms: cpuMsOf(pid) }] as const];
      } catch {
        // The process ended meanwhile.
        return [];
      }
    }),
  );
}
