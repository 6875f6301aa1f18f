/**
 * The statements that idle processes send to PostgreSQL: two of `serve` on one ledger, one of which follows. Needs a real
 * PostgreSQL: `node scripts/services.ts run -- node bench/idle.ts`. BENCH_SECONDS (120) is the duration of each of two
 * measurements.
 */
import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { openBench } from './open-bench.ts';
import { startFacteur, startScript } from './processes.ts';

const SECONDS = Number(process.env['BENCH_SECONDS'] ?? 120);
/** Lets the connections that were needed during the start be closed. */
const SETTLE_MS = 20_000;

const bench = await openBench('idle', `two processes, ${SECONDS} s`);
const { database } = bench;
const kubeconfig = join(tmpdir(), `facteur-bench-${randomUUID()}.yaml`);
const cluster = await startScript('cluster-server.ts', [kubeconfig]);
const env = { FACTEUR_POSTGRES_DSN: database.dsn, FACTEUR_KUBECONFIG: kubeconfig };

/** Transactions of this database so far: each statement of an idle process is one, and so is this query. */
async function transactions(): Promise<number> {
  const { rows } = await database.db.query<{ count: number }>({
    text: `SELECT (xact_commit + xact_rollback)::float8 AS count FROM pg_stat_database WHERE datname = current_database()`,
  });
  return rows[0]?.count ?? 0;
}

/** Transactions during the measurement, without the query itself. */
async function count(): Promise<number> {
  await wait(SETTLE_MS);
  const before = await transactions();
  await wait(SECONDS * 1000);
  return (await transactions()) - before - 1;
}

// The baseline: the server's own housekeeping is counted too.
const own = await count();
const processes = [await startFacteur(env), await startFacteur(env)];
const perMinute = ((await count()) - own) / processes.length / (SECONDS / 60);
bench.report({
  statements: { columns: ['statements a minute and process'], rows: [[Number(perMinute.toFixed(1))]] },
});

await Promise.all(processes.map((facteur) => facteur.stop()));
await cluster.stop();
await database.close();
