/**
 * What telemetry costs: start-up, memory, and processor time a request, with it off and on, interleaved so that other load affects both equally. Runs are recorded and not submitted. Needs a real PostgreSQL:
 *
 *   node scripts/services.ts run -- node bench/telemetry.ts
 *
 * BENCH_SECONDS (5) is how long each cell runs, BENCH_ROUNDS (3) how often; BENCH_FOLDER a production build to measure
 * instead of the sources.
 */
import { readFile } from 'node:fs/promises';
import { createTestDatabase } from '../test/support/database.ts';
import { postLoad } from './load.ts';
import { memoryOf, startFacteur, startScript } from './processes.ts';
import { commandEvent } from './requests.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const FOLDER = process.env['BENCH_FOLDER'];
const CLIENTS = 16;
/** Of Linux, for /proc; the same wherever Node runs. */
const TICKS_PER_SECOND = 100;

const database = await createTestDatabase();
if (!database.dsn.startsWith('postgres')) {
  throw new Error('this bench needs FACTEUR_TEST_POSTGRES_DSN: run it by "node scripts/services.ts run"');
}
const sink = await startScript('otlp-sink.ts');
const endpoint = `http://127.0.0.1:${sink.line}`;
const traces = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${endpoint}/v1/traces` };
const metrics = { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${endpoint}/v1/metrics` };

const MODES: Readonly<Record<string, Record<string, string>>> = {
  off: {},
  'metrics, scraped': { OTEL_METRICS_EXPORTER: 'prometheus' },
  'metrics, and 1% of traces': {
    ...traces,
    ...metrics,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.01',
  },
  'metrics and traces': { ...traces, ...metrics },
  'metrics, traces and logs': { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, FACTEUR_LOG_LEVEL: 'info' },
};

interface Cell {
  readonly readyMs: number;
  readonly perSecond: number;
  readonly p99Ms: number;
  readonly cpuMicros: number;
  readonly memoryMiB: number;
}

const cells = new Map<string, Cell[]>(Object.keys(MODES).map((mode) => [mode, []]));
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [mode, env] of Object.entries(MODES)) {
    const cell = await measure(env);
    cells.get(mode)?.push(cell);
    console.error(`${mode}: ready in ${Math.round(cell.readyMs)} ms, ${Math.round(cell.cpuMicros)} us a request`);
  }
}

async function measure(env: Record<string, string>): Promise<Cell> {
  const facteur = await startFacteur(
    { FACTEUR_POSTGRES_DSN: database.dsn, FACTEUR_DISABLE_DISPATCHER: 'true', ...env },
    FOLDER,
  );
  const load = { url: facteur.url, path: '/events', clients: CLIENTS, body: commandEvent };
  // Not counted: JIT and connections are warm afterwards.
  await postLoad({ ...load, seconds: 2 });
  const before = await cpuSecondsOf(facteur.child.pid);
  const result = await postLoad({ ...load, seconds: SECONDS });
  const cpu = (await cpuSecondsOf(facteur.child.pid)) - before;
  const { nowMiB } = await memoryOf(facteur.child);
  await facteur.stop();
  if (result.failures > 0) {
    throw new Error(`${result.failures} requests failed`);
  }
  return {
    readyMs: facteur.readyMs,
    perSecond: result.perSecond,
    p99Ms: result.p99Ms,
    cpuMicros: (cpu * 1_000_000) / (result.perSecond * SECONDS),
    memoryMiB: nowMiB,
  };
}

/** Processor time of a process so far, its threads included. */
async function cpuSecondsOf(pid: number | undefined): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The second field, the name, may hold blanks; utime and stime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

const best = (mode: string, field: keyof Cell, pick: (...values: number[]) => number): number =>
  pick(...(cells.get(mode) ?? []).map((cell) => cell[field]));
console.log('| telemetry | ready, ms | requests/s | p99 ms | processor time a request, us | of "off" | memory, MiB |');
console.log('|---|---|---|---|---|---|---|');
for (const mode of Object.keys(MODES)) {
  const cpu = best(mode, 'cpuMicros', Math.min);
  console.log(
    `| ${mode} | ${Math.round(best(mode, 'readyMs', Math.min))} | ${Math.round(best(mode, 'perSecond', Math.max))} | ` +
      `${best(mode, 'p99Ms', Math.min).toFixed(1)} | ${Math.round(cpu)} | ` +
      `${(cpu / best('off', 'cpuMicros', Math.min)).toFixed(2)} | ${best(mode, 'memoryMiB', Math.max)} |`,
  );
}

await sink.stop();
await database.close();
