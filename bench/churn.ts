/**
 * Ten minutes of runs that are recorded, submitted, followed to their end and reported in Discord. Compares the last minutes with
 * the first, and measures what autovacuum leaves behind.
 *
 *   FACTEUR_SERVICES=local FACTEUR_SERVICES_ONLY=postgres node scripts/services.ts run -- node bench/churn.ts
 *
 * BENCH_MINUTES (10) sets the duration. The clients wait for the messages, so that no backlog grows.
 */
import type { Queryable } from '../src/clients/postgres/database.ts';
import { openBench } from './open-bench.ts';
import type { Table } from './results.ts';
import { liveRuns, withFollowUps } from './service.ts';

const MINUTES = Number(process.env['BENCH_MINUTES'] ?? 10);
const BURST_SECONDS = 10;
/** Tables whose rows are updated at each step of a run. */
const TABLES = ['facteur.runs', 'facteur.open_runs', 'facteur.messages', 'codex_kb.tasks', 'codex_kb.task_runs'];

const bench = await openBench('churn', `${MINUTES} minutes in bursts of ${BURST_SECONDS} s`);
const { database } = bench;

const rows: Table['rows'] = await withFollowUps(database, async (facteur) => {
  // Warm-up: JIT compilation and the first pages must not count.
  await liveRuns(facteur, database, BURST_SECONDS);
  const minutes: Table['rows'] = [];
  for (let minute = 1; minute <= MINUTES; minute += 1) {
    minutes.push([minute, ...(await measureMinute(facteur))]);
    console.error(`minute ${minute}: ${JSON.stringify(minutes.at(-1))}`);
  }
  return minutes;
});
// A single minute says little: neighboring ones differ by a fifth.
const [first = 0, last = 0] = [rows.slice(0, 3), rows.slice(-3)].map((some) =>
  some.reduce((sum, [, rate]) => sum + Number(rate), 0),
);
console.log(`the last three minutes have ${(last / first).toFixed(2)} of the rate of the first three`);
bench.report({
  minutes: { columns: ['minute', 'finished runs a second', 'failures', 'dead of all rows', 'MiB'], rows },
});
await database.close();

async function measureMinute(facteur: Parameters<typeof liveRuns>[0]): Promise<Table['rows'][number]> {
  const endsAt = performance.now() + 60_000;
  const startedAt = performance.now();
  let [count, failures] = [0, 0];
  while (performance.now() < endsAt) {
    const burst = await liveRuns(facteur, database, BURST_SECONDS);
    count += burst.count;
    failures += burst.failures;
  }
  const perSecond = (count * 1000) / (performance.now() - startedAt);
  const { deadShare, bytes } = await sizesOf(database.db);
  return [Math.round(perSecond), failures, Number(deadShare.toFixed(3)), Math.round(bytes / 2 ** 20)];
}

/** The share of dead rows that are not yet vacuumed, and the size of tables and indexes. */
async function sizesOf(db: Queryable): Promise<{ readonly deadShare: number; readonly bytes: number }> {
  const { rows: found } = await db.query<{ deadShare: number; bytes: number }>({
    text: `SELECT sum(n_dead_tup)::float8 / greatest(1, sum(n_live_tup + n_dead_tup)) AS "deadShare",
        sum(pg_total_relation_size(relid))::float8 AS bytes
      FROM pg_stat_user_tables WHERE relid = ANY ($1::text[]::regclass[])`,
    values: [TABLES],
  });
  return found[0] ?? { deadShare: 0, bytes: 0 };
}
