/**
 * How fast a full ledger is submitted to a cluster that accepts 500 creates per second and answers 429 to more: 10,000 queued
 * runs, one facteur process. Needs a real PostgreSQL: `node scripts/services.ts run -- node bench/drain.ts`.
 */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { recordRun } from '../src/ledger/record-run.ts';
import { startSimulatedCluster } from '../sandbox/cluster/cluster.ts';
import { openBench } from './open-bench.ts';
import { startFacteur } from './processes.ts';
import { commandNewRun } from './requests.ts';

const RUNS = Number(process.env['BENCH_RUNS'] ?? 10_000);
const PER_SECOND = 500;

const bench = await openBench('drain', 'one process');
const { database } = bench;
const cluster = await startSimulatedCluster({
  namespaces: ['argo'],
  templates: [{ namespace: 'argo', name: 'facteur-dispatch' }],
  plan: () => ({ outcome: 'hang', at: 1 }),
});
cluster.faults.apply({ op: 'rate', rate: { perSecond: PER_SECOND, over: 'reject' } });
const kubeconfig = join(tmpdir(), `facteur-bench-${randomUUID()}.yaml`);
await writeFile(kubeconfig, cluster.kubeconfig());

await Promise.all(
  Array.from({ length: 16 }, async (_, worker) => {
    for (let i = worker; i < RUNS; i += 16) {
      await recordRun(database.db, { run: commandNewRun(), claim: false });
    }
  }),
);
console.error(`${RUNS} runs are queued`);

const facteur = await startFacteur({ FACTEUR_POSTGRES_DSN: database.dsn, FACTEUR_KUBECONFIG: kubeconfig });
const startedAt = performance.now();
let created = 0;
while (created < RUNS) {
  await wait(250);
  created = Number(cluster.state()['workflows']);
}
const seconds = (performance.now() - startedAt) / 1000;
const { rows } = await database.db.query<{ tries: number }>({
  text: 'SELECT sum(attempts)::int AS tries FROM facteur.runs',
});
bench.report({
  drained: {
    columns: ['runs', 'creates a second that the cluster takes', 'seconds', 'attempts'],
    rows: [[RUNS, PER_SECOND, Number(seconds.toFixed(1)), rows[0]?.tries ?? 0]],
  },
});
await facteur.stop();
await cluster.close();
await database.close();
