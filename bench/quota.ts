/**
 * A process with a fifth of a CPU and 256 MiB, like a small pod: its start, and the rate at which Codex tasks of 16 clients are
 * recorded and submitted, both while its code is still being compiled and afterward. Needs a real PostgreSQL, and root to create
 * a control group:
 *
 *   npm run build
 *   BENCH_FOLDER=out FACTEUR_SERVICES=local FACTEUR_SERVICES_ONLY=postgres npx node scripts/services.ts run -- node bench/quota.ts
 *
 * BENCH_ROUNDS (3) is the number of rounds.
 */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { postLoad } from './load.ts';
import { createBenchDatabase, openBench } from './open-bench.ts';
import { cpuMsOf, memoryOf, type FacteurProcess } from './processes.ts';
import { codexTask } from './requests.ts';
import { spreadOf, type Spread } from './results.ts';
import { takesEvents, untilSubmitted, withFacteur } from './service.ts';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const PERIOD_US = 100_000;
const QUOTA_US = 20_000;
const MEMORY_BYTES = 256 * 1024 * 1024;
const WINDOWS = [10, 10, 10, 10, 10, 10] as const;

const ROOT = '/sys/fs/cgroup';
const NAME = `facteur-bench-${process.pid}`;

/** The files and values that define the group, for the cgroup version of this machine. */
const LIMITS: Readonly<Record<string, Readonly<Record<string, string>>>> = existsSync(join(ROOT, 'cgroup.controllers'))
  ? { [join(ROOT, NAME)]: { 'cpu.max': `${QUOTA_US} ${PERIOD_US}`, 'memory.max': `${MEMORY_BYTES}` } }
  : {
      [join(ROOT, 'cpu', NAME)]: { 'cpu.cfs_period_us': `${PERIOD_US}`, 'cpu.cfs_quota_us': `${QUOTA_US}` },
      [join(ROOT, 'memory', NAME)]: { 'memory.limit_in_bytes': `${MEMORY_BYTES}` },
    };

const groups = Object.keys(LIMITS);
/** A shell that enters the group and becomes the process. */
const ENTER = ['sh', '-c', `for group in ${groups.join(' ')}; do echo $$ > $group/cgroup.procs; done; exec "$@"`, 'sh'];

/** With a memory limit, the heap's share of memory has a meaning. */
const AS_IN_IMAGE = { NODE_OPTIONS: '--max-semi-space-size=8 --max-old-space-size-percentage=50' };

interface Round {
  readonly listeningMs: number;
  readonly readyMs: number;
  readonly perSecond: readonly number[];
  readonly failures: number;
  /** CPU time per request in the last window. */
  readonly lastMs: number;
  readonly peakMiB: number;
}

async function underLoad({ url, child, listeningMs, readyMs }: FacteurProcess): Promise<Round> {
  const pid = child.pid ?? 0;
  const perSecond: number[] = [];
  let [failures, lastMs] = [0, 0];
  for (const seconds of WINDOWS) {
    const before = cpuMsOf(pid);
    const load = await postLoad({ url, path: '/codex/tasks', clients: 16, seconds, body: codexTask });
    perSecond.push(load.perSecond);
    failures += load.failures;
    lastMs = (cpuMsOf(pid) - before) / load.count;
  }
  return { listeningMs, readyMs, perSecond, failures, lastMs, peakMiB: (await memoryOf(child)).peakMiB };
}

async function round(): Promise<Round> {
  const database = await createBenchDatabase();
  const reading = await withFacteur(
    database,
    AS_IN_IMAGE,
    async (facteur) => {
      const measured = await underLoad(facteur);
      await untilSubmitted(database);
      return measured;
    },
    { isUp: takesEvents, launcher: ENTER },
  );
  await database.close();
  return reading;
}

const bench = await openBench('quota', `${ROUNDS} rounds of 60 s; medians (lowest–highest)`);
const rounds: Round[] = [];
try {
  for (const [group, limits] of Object.entries(LIMITS)) {
    mkdirSync(group);
    Object.entries(limits).forEach(([file, limit]) => writeFileSync(join(group, file), limit));
  }
  for (let count = 0; count < ROUNDS; count += 1) {
    rounds.push(await round());
  }
} finally {
  groups.filter((group) => existsSync(group)).forEach((group) => rmdirSync(group));
}

const measured = (read: (one: Round) => number): Spread | null => spreadOf(rounds.map(read));
bench.report({
  start: {
    columns: ['to listening, ms', 'to the first 202, ms'],
    rows: [[measured(({ listeningMs }) => listeningMs), measured(({ readyMs }) => readyMs)]],
  },
  rates: {
    columns: ['seconds of load', 'tasks a second'],
    rows: WINDOWS.map((seconds, index) => [
      `${seconds * index} to ${seconds * (index + 1)}`,
      measured(({ perSecond }) => perSecond[index] ?? 0),
    ]),
  },
  costs: {
    columns: ['failures', 'processor ms each, at the end', 'MiB at most'],
    rows: [
      [measured(({ failures }) => failures), measured(({ lastMs }) => lastMs), measured(({ peakMiB }) => peakMiB)],
    ],
  },
});
await bench.database.close();
