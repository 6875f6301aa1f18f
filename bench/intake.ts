/**
 * Throughput of the intake: both routes, only recorded and also submitted, at 1, 16 and 128 connections, and at a fixed rate; the
 * cost of each delivery for the service and PostgreSQL; the whole life of runs; the start. The limits are measured in the same
 * rounds: a bare HTTP server, and the ledger's statement without HTTP, from Node and from pgbench.
 *
 *   npm run bench
 *
 * Every cell has its own process, database and simulated cluster, and is measured once per round, in another order each time.
 * BENCH_WARM_UP (5,000) is the number of requests before a measurement, BENCH_SECONDS (4) its duration, BENCH_ROUNDS (5) the number
 * of rounds, BENCH_ONLY a regular expression that selects cells, BENCH_FOLDER a production build to measure instead of the sources.
 */
import { recordRun } from '../src/ledger/record-run.ts';
import { openTestPostgres, type TestDatabase } from '../test/support/database.ts';
import { closedLoop, postLoad, type LoadResult, type PostLoad } from './load.ts';
import { createBenchDatabase, openBench } from './open-bench.ts';
import { recordByPgbench } from './pgbench.ts';
import { cpuMsOf, memoryOf, startScript, type FacteurProcess } from './processes.ts';
import { codexTask, commandEvent, commandNewRun } from './requests.ts';
import { spreadOf, type Spread, type Table } from './results.ts';
import { observeServer } from './server-cost.ts';
import { countRuns, liveRuns, takesEvents, untilSubmitted, withFacteur, withFollowUps } from './service.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 4);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const ONLY = new RegExp(process.env['BENCH_ONLY'] ?? '');
const CLIENTS = [1, 16, 128];
/** V8 optimizes code that has run for a while: until then a request costs up to twice as much. */
const WARM_UP_REQUESTS = Number(process.env['BENCH_WARM_UP'] ?? 5000);
const WARM_UP_SECONDS = Math.min(2, SECONDS);

/** The result of one measurement, without the fields that a cell does not measure. */
type Reading = Partial<
  Record<
    | 'perSecond'
    | 'p50Ms'
    | 'p99Ms'
    | 'failures'
    | 'left'
    | 'serviceMs'
    | 'postgresMs'
    | 'flushes'
    | 'bytes'
    | 'idleMiB'
    | 'peakMiB'
    | 'listeningMs'
    | 'readyMs',
    number
  >
>;

interface Cell {
  readonly what: string;
  readonly clients: number;
  readonly measure: () => Promise<Reading>;
  readonly readings: Reading[];
}

type Load = Pick<PostLoad, 'path' | 'body'> & Partial<Pick<PostLoad, 'clients' | 'offered'>>;

const bench = await openBench(
  'intake',
  `medians of ${ROUNDS} interleaved rounds of ${SECONDS} s, each after ${WARM_UP_REQUESTS} requests (lowest–highest)`,
);
const server = await observeServer(bench.database.db);

/** PostgreSQL's cost of each run that `record` leaves in a new database: CPU time, and flushes and bytes of WAL. */
async function costOfRuns(record: (database: TestDatabase) => Promise<Reading>): Promise<Reading> {
  const database = await createBenchDatabase();
  const name = new URL(database.dsn).pathname.slice(1);
  const before = { ...(await server.log(name)), ms: server.cpuMs() };
  const reading = await record(database);
  const after = { ...(await server.log(name)), ms: server.cpuMs() };
  const { all } = await countRuns(database);
  await database.close();
  return {
    postgresMs: (after.ms - before.ms) / all,
    ...reading,
    flushes: (after.flushes - before.flushes) / all,
    bytes: (after.bytes - before.bytes) / all,
  };
}

/** CPU time per request, from now until the returned function is called. */
function countCpu({ child }: FacteurProcess): (requests: number) => Reading {
  const before = { service: cpuMsOf(child.pid ?? 0), postgres: server.cpuMs() };
  return (requests) => ({
    serviceMs: (cpuMsOf(child.pid ?? 0) - before.service) / requests,
    postgresMs: (server.cpuMs() - before.postgres) / requests,
  });
}

/** Repeats a load, which is not measured, until the process has served enough requests. */
async function warmUp(load: () => Promise<{ readonly count: number }>): Promise<void> {
  for (let count = 0; count < WARM_UP_REQUESTS;) {
    count += (await load()).count;
  }
}

/** Posts requests that are recorded and, unless the dispatcher is disabled, submitted. */
const post = (load: Load, env: Record<string, string> = {}): Promise<Reading> =>
  costOfRuns((database) =>
    withFacteur(database, env, async (facteur) => {
      const { nowMiB: idleMiB } = await memoryOf(facteur.child);
      const options = { clients: 128, ...load, url: facteur.url };
      await warmUp(() => postLoad({ ...options, seconds: WARM_UP_SECONDS }));
      await untilSubmitted(database);
      const cpu = countCpu(facteur);
      const result = await postLoad({ ...options, seconds: SECONDS });
      const { queued: left } = await countRuns(database);
      await untilSubmitted(database);
      const { peakMiB } = await memoryOf(facteur.child);
      // Runs that still wait were answered, but not submitted in this time.
      const perSecond = result.perSecond * (1 - left / result.count);
      return { ...ofLoad(result), perSecond, left, ...cpu(result.count), idleMiB, peakMiB };
    }),
  );

function ofLoad({ perSecond, p50Ms, p99Ms, failures }: LoadResult): Reading {
  return { perSecond, p50Ms, p99Ms, failures };
}

/**
 * Commands that are recorded, submitted, followed to their end and reported, from 128 clients that each send the next one after
 * an answer.
 */
const wholeLife = (): Promise<Reading> =>
  costOfRuns((database) =>
    withFollowUps(database, async (facteur) => {
      await warmUp(() => liveRuns(facteur, database, WARM_UP_SECONDS));
      const cpu = countCpu(facteur);
      const { count, perSecond, failures } = await liveRuns(facteur, database, SECONDS);
      return { perSecond, failures, ...cpu(count) };
    }),
  );

async function start(): Promise<Reading> {
  const database = await createBenchDatabase();
  const use = async ({ child, listeningMs, readyMs }: FacteurProcess): Promise<Reading> => ({
    listeningMs,
    readyMs,
    idleMiB: (await memoryOf(child)).nowMiB,
  });
  const reading = await withFacteur(database, {}, use, { isUp: takesEvents });
  await database.close();
  return reading;
}

const statementByNode = (clients: number): Promise<Reading> =>
  costOfRuns(async ({ dsn }) => {
    const db = openTestPostgres(dsn);
    const record = async (): Promise<boolean> =>
      !(await recordRun(db, { run: commandNewRun(), claim: true })).duplicate;
    const result = await closedLoop(clients, SECONDS, record);
    await db.close();
    return ofLoad(result);
  });

const statementByPgbench = (clients: number): Promise<Reading> =>
  costOfRuns(async ({ dsn }) => ({ perSecond: await recordByPgbench(dsn, clients, SECONDS) }));

const bare = await startScript('bare-server.ts');
const bareHttp = (clients: number): Promise<Reading> =>
  postLoad({ url: `http://127.0.0.1:${bare.line}`, path: '/', clients, seconds: SECONDS, body: commandEvent }).then(
    ofLoad,
  );

const EVENT = { path: '/events', body: commandEvent };
const TASK = { path: '/codex/tasks', body: codexTask };
const RECORD_ONLY = { FACTEUR_DISABLE_DISPATCHER: 'true' };
const BARE = 'bare HTTP server';
const BY_NODE = 'the statement by Node';
const BY_PGBENCH = 'the statement by pgbench';

const cell = (what: string, clients: number, measure: Cell['measure']): Cell => ({
  what,
  clients,
  measure,
  readings: [],
});
const rates = CLIENTS.flatMap((clients) => [
  cell(BARE, clients, () => bareHttp(clients)),
  cell(BY_PGBENCH, clients, () => statementByPgbench(clients)),
  cell(BY_NODE, clients, () => statementByNode(clients)),
  cell('`POST /events`, recorded only', clients, () => post({ ...EVENT, clients }, RECORD_ONLY)),
  cell('`POST /codex/tasks`, recorded only', clients, () => post({ ...TASK, clients }, RECORD_ONLY)),
  cell('`POST /events`, recorded and submitted', clients, () => post({ ...EVENT, clients })),
  cell('`POST /codex/tasks`, recorded and submitted', clients, () => post({ ...TASK, clients })),
]);
const steady = [
  cell('300/s, recorded and submitted', 128, () => post({ ...TASK, offered: 300 })),
  cell('1,000/s, recorded only', 128, () => post({ ...TASK, offered: 1000 }, RECORD_ONLY)),
];
const life = [cell('recorded, submitted, followed to its end and told', 128, wholeLife)];
const starts = [cell('start', 0, start)];

const cells = [...rates, ...steady, ...life, ...starts].filter(({ what, clients }) =>
  ONLY.test(`${what} at ${clients}`),
);
const startedAt = performance.now();
for (let round = 0; round < ROUNDS; round += 1) {
  const first = Math.floor((round * cells.length) / ROUNDS);
  for (const { what, clients, measure, readings } of [...cells.slice(first), ...cells.slice(0, first)]) {
    const reading = await measure();
    readings.push(reading);
    console.error(
      `round ${round + 1}: ${what} at ${clients}: ${Math.round(reading.perSecond ?? reading.readyMs ?? 0)}`,
    );
  }
}
console.error(`${Math.round((performance.now() - startedAt) / 1000)} s`);

function measured({ readings }: Cell, measure: keyof Reading, factor = 1): Spread | null {
  return spreadOf(readings.flatMap((reading) => (reading[measure] === undefined ? [] : [reading[measure] * factor])));
}

/** The rate of a cell as a share of a limit's rate at the same number of connections. */
function shareOf(limit: string, one: Cell): number | null {
  const other = rates.find(({ what, clients }) => what === limit && clients === one.clients);
  const [rate, most] = [measured(one, 'perSecond'), other === undefined ? null : measured(other, 'perSecond')];
  return rate === null || most === null ? null : Number((rate.median / most.median).toPrecision(3));
}

function tableOf(
  of: readonly Cell[],
  columns: Readonly<Record<string, (one: Cell) => Table['rows'][number][number]>>,
): Table {
  const rows = of
    .filter(({ readings }) => readings.length > 0)
    .map((one) => Object.values(columns).map((read) => read(one)));
  return { columns: Object.keys(columns), rows };
}

const COSTS = {
  'service, s per 10,000': (one: Cell) => measured(one, 'serviceMs', 10),
  'PostgreSQL, s per 10,000': (one: Cell) => measured(one, 'postgresMs', 10),
  'flushes each': (one: Cell) => measured(one, 'flushes'),
  'WAL each, kB': (one: Cell) => measured(one, 'bytes', 0.001),
};
const NAMES = { what: ({ what }: Cell) => what, connections: ({ clients }: Cell) => clients };
const TIMES = { 'p50 ms': (one: Cell) => measured(one, 'p50Ms'), 'p99 ms': (one: Cell) => measured(one, 'p99Ms') };

bench.report({
  rates: tableOf(rates, {
    ...NAMES,
    'a second': (one) => measured(one, 'perSecond'),
    ...TIMES,
    failures: (one) => measured(one, 'failures'),
    'of pgbench': (one) => shareOf(BY_PGBENCH, one),
    'of Node': (one) => shareOf(BY_NODE, one),
    'of bare HTTP': (one) => shareOf(BARE, one),
  }),
  costs: tableOf(
    rates.filter(({ what }) => what !== BARE),
    {
      ...NAMES,
      ...COSTS,
      'waiting at the end': (one) => measured(one, 'left'),
      'MiB at most': (one) => measured(one, 'peakMiB'),
    },
  ),
  steady: tableOf(steady, {
    offered: ({ what }) => what,
    ...TIMES,
    failures: (one) => measured(one, 'failures'),
    ...COSTS,
    'MiB at most': (one) => measured(one, 'peakMiB'),
  }),
  life: tableOf(life, {
    'finished runs a second': (one) => measured(one, 'perSecond'),
    failures: (one) => measured(one, 'failures'),
    ...COSTS,
  }),
  start: tableOf(starts, {
    'to listening, ms': (one) => measured(one, 'listeningMs'),
    'to the first 202, ms': (one) => measured(one, 'readyMs'),
    'MiB then': (one) => measured(one, 'idleMiB'),
  }),
});

await bare.stop();
await bench.database.close();
