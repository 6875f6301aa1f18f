/**
 * What the intake takes: both routes at 1, 16 and 128 connections, beside two limits measured in the same run (the ledger's
 * statement without HTTP, a bare HTTP server with the same body), then start-up time and memory. Needs a real PostgreSQL:
 *
 *   npm run bench
 *
 * BENCH_SECONDS (5) is how long each cell runs; BENCH_FOLDER a production build to measure instead of the sources.
 */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordRun } from '../src/ledger/record-run.ts';
import { createTestDatabase, openTestPostgres } from '../test/support/database.ts';
import { closedLoop, postLoad, type LoadResult } from './load.ts';
import { memoryOf, startFacteur, startScript } from './processes.ts';
import { codexTask, commandEvent, commandNewRun } from './requests.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 5);
const FOLDER = process.env['BENCH_FOLDER'];
const CLIENTS = [1, 16, 128];

interface Row {
  readonly what: string;
  readonly clients: number;
  readonly result: LoadResult;
}

const database = await createTestDatabase();
if (!database.dsn.startsWith('postgres')) {
  throw new Error('this bench needs FACTEUR_TEST_POSTGRES_DSN: run it by "npm run bench"');
}
const kubeconfig = join(tmpdir(), `facteur-bench-${randomUUID()}.yaml`);
const cluster = await startScript('cluster-server.ts', [kubeconfig]);
const bare = await startScript('bare-server.ts');
const env = { FACTEUR_POSTGRES_DSN: database.dsn, FACTEUR_KUBECONFIG: kubeconfig };

const facteur = await startFacteur(env, FOLDER);
const firstAnswer = await fetch(`${facteur.url}/events`, {
  method: 'POST',
  headers: { 'content-type': 'application/x-protobuf' },
  body: Buffer.from(commandEvent()),
});
const first202Ms = performance.now() - facteur.startedAt;
const idle = await memoryOf(facteur.child);

const rows: Row[] = [];
async function cell(what: string, clients: number, measure: () => Promise<LoadResult>): Promise<void> {
  const result = await measure();
  rows.push({ what, clients, result });
  console.error(`${what} at ${clients}: ${Math.round(result.perSecond)}/s`);
}

// A database of its own: facteur would submit what is recorded here, and its own runs would queue behind.
const alone = await createTestDatabase();
const direct = openTestPostgres(alone.dsn);
// Once over everything, not counted: JIT, connections and the shared buffers are warm afterwards.
await postLoad({ url: facteur.url, path: '/events', clients: 16, seconds: 2, body: commandEvent });
await postLoad({ url: facteur.url, path: '/codex/tasks', clients: 16, seconds: 2, body: codexTask });

for (const clients of CLIENTS) {
  const post = (url: string, path: string, body: (index: number) => Uint8Array) => () =>
    postLoad({ url, path, clients, seconds: SECONDS, body });
  const bareUrl = `http://127.0.0.1:${bare.line}`;
  await cell('bare HTTP server, command event', clients, post(bareUrl, '/', commandEvent));
  await cell('the statement alone', clients, () =>
    closedLoop(
      clients,
      SECONDS,
      async () => !(await recordRun(direct, { run: commandNewRun(), claim: true })).duplicate,
    ),
  );
  await cell('POST /events, recorded and submitted', clients, post(facteur.url, '/events', commandEvent));
  await cell('POST /codex/tasks, recorded and submitted', clients, post(facteur.url, '/codex/tasks', codexTask));
}
const loaded = await memoryOf(facteur.child);
await facteur.stop();

const recordOnly = await startFacteur({ ...env, FACTEUR_DISABLE_DISPATCHER: 'true' }, FOLDER);
for (const clients of CLIENTS) {
  await cell('POST /events, recorded only', clients, () =>
    postLoad({ url: recordOnly.url, path: '/events', clients, seconds: SECONDS, body: commandEvent }),
  );
}

const limitOf = (clients: number, what: string): number =>
  rows.find((row) => row.clients === clients && row.what === what)?.result.perSecond ?? Number.NaN;
console.log('| what | connections | requests/s | p50 ms | p99 ms | failures | of the statement alone | of bare HTTP |');
console.log('|---|---|---|---|---|---|---|---|');
for (const { what, clients, result } of rows) {
  const share = (limit: string): string => (result.perSecond / limitOf(clients, limit)).toFixed(2);
  console.log(
    `| ${what} | ${clients} | ${Math.round(result.perSecond)} | ${result.p50Ms.toFixed(1)} | ${result.p99Ms.toFixed(1)} | ` +
      `${result.failures} | ${share('the statement alone')} | ${share('bare HTTP server, command event')} |`,
  );
}
console.log(
  `\nstart to ready ${Math.round(facteur.readyMs)} ms, to the first ${firstAnswer.status} ${Math.round(first202Ms)} ms`,
);
console.log(`memory: ${idle.nowMiB} MiB when idle, ${loaded.nowMiB} MiB after the load, ${loaded.peakMiB} MiB at most`);

await Promise.all([recordOnly.stop(), cluster.stop(), bare.stop(), direct.close()]);
await Promise.all([database.close(), alone.close()]);
