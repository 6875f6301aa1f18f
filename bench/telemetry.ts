/**
 * The cost of telemetry: start-up, memory, and CPU time per request, with telemetry off and on, interleaved so that other load
 * affects both equally. Runs are recorded and not submitted. Needs a real PostgreSQL:
 *
 *   node scripts/services.ts run -- node bench/telemetry.ts
 *
 * BENCH_SECONDS (5) is the duration of each cell, BENCH_ROUNDS (3) the number of rounds, BENCH_FOLDER a production build to
 * measure instead of the sources.
 */
import { postLoad } from './load.ts';
import { FOLDER, openBench } from './open-bench.ts';
import { cpuMsOf, memoryOf, startFacteur, startScript } from './processes.ts';
import { commandEvent } from './requests.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const CLIENTS = 16;

const bench = await openBench('telemetry', `${ROUNDS} rounds of ${SECONDS} s, the best of each`);
const { database } = bench;
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
  // Warm-up, not counted: JIT and connections.
  await postLoad({ ...load, seconds: 2 });
  const before = cpuMsOf(facteur.child.pid ?? 0);
  const result = await postLoad({ ...load, seconds: SECONDS });
  const cpuMs = cpuMsOf(facteur.child.pid ?? 0) - before;
  const { nowMiB } = await memoryOf(facteur.child);
  await facteur.stop();
  if (result.failures > 0) {
    throw new Error(`${result.failures} requests failed`);
  }
  return {
    readyMs: facteur.readyMs,
    perSecond: result.perSecond,
    p99Ms: result.p99Ms,
    cpuMicros: (cpuMs * 1000) / result.count,
    memoryMiB: nowMiB,
  };
}

const best = (mode: string, field: keyof Cell, pick: (...values: number[]) => number): number =>
  pick(...(cells.get(mode) ?? []).map((cell) => cell[field]));
bench.report({
  modes: {
    columns: ['telemetry', 'ready, ms', 'requests/s', 'p99 ms', 'CPU time per request, µs', 'of "off"', 'memory, MiB'],
    rows: Object.keys(MODES).map((mode) => {
      const cpu = best(mode, 'cpuMicros', Math.min);
      return [
        mode,
        Math.round(best(mode, 'readyMs', Math.min)),
        Math.round(best(mode, 'perSecond', Math.max)),
        Number(best(mode, 'p99Ms', Math.min).toFixed(1)),
        Math.round(cpu),
        Number((cpu / best('off', 'cpuMicros', Math.min)).toFixed(2)),
        best(mode, 'memoryMiB', Math.max),
      ];
    }),
  },
});

await sink.stop();
await database.close();
