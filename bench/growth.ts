/**
 * How each operation on the ledger grows with the runs that it holds: 1,000, then ten times as many, up to a million. Needs
 * a real PostgreSQL (`node scripts/services.ts run -- node bench/growth.ts`). BENCH_SIZES names other sizes.
 *
 * A sequential scan of a run table while the operations run is counted by Postgres itself and is a fault.
 */
import { randomUUID } from 'node:crypto';
import { archiveRuns } from '../src/ledger/archive-runs.ts';
import { findForRetry } from '../src/ledger/find-for-retry.ts';
import { findRun, listRunEvents, listRuns } from '../src/ledger/find-runs.ts';
import { moveRun } from '../src/ledger/move-run.ts';
import { observeWorkflows } from '../src/ledger/observe-workflows.ts';
import { recordRun } from '../src/ledger/record-run.ts';
import { requestCancel } from '../src/ledger/request-cancel.ts';
import { claimDueRuns } from '../src/ledger/submission-queue.ts';
import { createTestDatabase } from '../test/support/database.ts';
import { commandNewRun } from './requests.ts';

const SIZES = (process.env['BENCH_SIZES'] ?? '1000,10000,100000,1000000').split(',').map(Number);
const ROUNDS = 300;
/** Kept free of finished rows, so that what is measured is finding live work among many dead. */
const LIVE = 200;

const database = await createTestDatabase();
if (!database.dsn.startsWith('postgres')) {
  throw new Error('this bench needs FACTEUR_TEST_POSTGRES_DSN');
}
const { db } = database;

/** Finished runs as the product leaves them, made by the server. */
const FILL = `
WITH made AS (
  SELECT gen_random_uuid() AS id, gen_random_uuid() AS idea_id, gen_random_uuid() AS task_id, n,
    now() - interval '1 day' - (n || ' seconds')::interval AS at
  FROM generate_series($1::int, $2::int) n
), ideas AS (
  INSERT INTO codex_kb.ideas (id, source_type, source_ref, status, payload)
  SELECT idea_id, 'discord.command', 'fill-' || n, 'received', '{"command":"plan"}' FROM made
), tasks AS (
  INSERT INTO codex_kb.tasks (id, idea_id, stage, state) SELECT task_id, idea_id, 'plan', 'succeeded' FROM made
), task_runs AS (
  INSERT INTO codex_kb.task_runs (id, task_id, external_run_id, status, queued_at, delivery_id, created_at, updated_at)
  SELECT id, task_id, 'plan-fill-' || n, 'succeeded', at, 'fill-' || n, at, at FROM made
), events AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload, emitted_at)
  SELECT id, 'state.change', 'facteur', '{"to":"succeeded"}', at FROM made, generate_series(1, 4)
), messages AS (
  INSERT INTO facteur.messages (run_id, interaction_id, channel_id, message_id, told_revision)
  SELECT id, 'i' || n, 'c' || n % 50, 'm' || n, 4 FROM made
), metrics AS (
  INSERT INTO codex_kb.run_metrics (task_run_id, queue_latency_ms, runtime_ms) SELECT id, 12, 60000 FROM made
)
INSERT INTO facteur.runs (run_id, delivery_id, kind, command, door, state, previous_state, namespace, workflow_name,
  workflow_uid, plan, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at, updated_at)
SELECT id, 'fill-' || n, 'command', 'plan', 'http', 'succeeded', 'running', 'argo', 'plan-fill-' || n,
  gen_random_uuid(), '{"namespace":"argo","workflowTemplate":"t","parameters":{"action":"plan"}}', 'c', '', 'u' || n % 1000,
  '', '', at, at
FROM made`;

/** All that was not made by the server. */
const FORGET = `
DELETE FROM facteur.runs WHERE delivery_id NOT LIKE 'fill-%';
DELETE FROM codex_kb.ideas WHERE source_ref NOT LIKE 'fill-%';`;

/** A run of this moment, at the state that an operation needs. */
async function fresh(to?: 'submitted'): Promise<string> {
  const { runId } = await recordRun(db, { run: commandNewRun(), claim: true });
  if (to === 'submitted') {
    await moveRun(db, { runId, to, workflowUid: randomUUID() });
  }
  return runId;
}

/** Prepared outside the clock where it needs a run of its own. */
const OPERATIONS: Readonly<Record<string, { prepare?: () => Promise<string>; run: (id: string) => Promise<unknown> }>> =
  {
    record: { run: () => recordRun(db, { run: commandNewRun(), claim: true }) },
    'record a duplicate': {
      run: () => recordRun(db, { run: { ...commandNewRun(), deliveryId: 'fill-500' }, claim: true }),
    },
    'claim due runs': { run: () => claimDueRuns(db, { limit: 1, maxActive: undefined }) },
    'claim with admission': { run: () => claimDueRuns(db, { limit: 1, maxActive: 10_000 }) },
    'move to submitted': { prepare: () => fresh(), run: (runId) => moveRun(db, { runId, to: 'submitted' }) },
    'observe running': {
      prepare: () => fresh('submitted'),
      run: async (runId) => {
        const run = await findRun(db, runId);
        return observeWorkflows(db, [
          {
            namespace: 'argo',
            name: run?.workflowName ?? '',
            uid: run?.workflowUid ?? '',
            deliveryLabel: '',
            version: 1n,
            state: 'running',
            progress: '1/2',
            reason: '',
            startedAt: new Date(),
            finishedAt: undefined,
            resources: {},
            confirmed: false,
          },
        ]);
      },
    },
    'find by delivery id': { run: () => findRun(db, 'fill-777') },
    'find by workflow': { run: () => findRun(db, 'plan-fill-777') },
    'list a page': { run: () => listRuns(db, { limit: 20 }) },
    'list live runs': { run: () => listRuns(db, { limit: 20, states: ['queued', 'submitted', 'running'] }) },
    'list events': { prepare: () => fresh('submitted'), run: (id) => listRunEvents(db, id) },
    'request a cancel': { prepare: () => fresh('submitted'), run: (id) => requestCancel(db, id, 'bench') },
    'find for retry': { prepare: () => fresh(), run: (id) => findForRetry(db, id) },
    'look for runs to archive': { run: () => archiveRuns(db, 10 * 365 * 86_400, 100) },
  };

async function measure(name: string): Promise<number> {
  const operation = OPERATIONS[name];
  const latencies: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const id = (await operation?.prepare?.()) ?? '';
    const from = performance.now();
    await operation?.run(id);
    latencies.push(performance.now() - from);
  }
  latencies.sort((a, b) => a - b);
  return latencies[Math.floor(ROUNDS / 2)] ?? 0;
}

/** Sequential scans so far, by table. */
async function sequentialScans(): Promise<Map<string, number>> {
  await db.query({ text: 'SELECT pg_stat_force_next_flush()' });
  const { rows } = await db.query<{ relname: string; scans: string }>({
    text: `SELECT relname, seq_scan::text AS scans FROM pg_stat_user_tables
      WHERE relname IN ('runs', 'task_runs', 'tasks', 'ideas', 'run_events', 'run_metrics', 'messages')`,
  });
  return new Map(rows.map((row) => [row.relname, Number(row.scans)]));
}

const results = new Map<string, number[]>();
let filled = 0;
for (const size of SIZES) {
  await db.session((session) => session.query({ text: FILL, values: [filled + 1, size] }));
  filled = size;
  // What the last size's operations left behind would be live work that the first size did not have.
  await db.session((session) => session.query({ text: FORGET }));
  await db.session((session) => session.query({ text: 'VACUUM ANALYZE' }));
  for (let i = 0; i < LIVE; i += 1) {
    await fresh('submitted');
  }
  for (const name of Object.keys(OPERATIONS)) {
    const before = await sequentialScans();
    results.set(name, [...(results.get(name) ?? []), await measure(name)]);
    const after = await sequentialScans();
    const scanned = [...after].map(([table, scans]) => [table, scans - (before.get(table) ?? 0)] as const);
    for (const [table, scans] of scanned.filter(([, more]) => more > 0)) {
      console.error(`${size} runs: ${name}: ${scans} sequential scans of ${table}`);
    }
  }
}

console.log(
  `| operation, median ms | ${SIZES.map((size) => `${size.toLocaleString('en')} runs`).join(' | ')} | last / first |`,
);
console.log(`|---|${SIZES.map(() => '---|').join('')}---|`);
for (const [name, medians] of results) {
  const ratio = (medians.at(-1) ?? 0) / (medians[0] ?? 1);
  console.log(`| ${name} | ${medians.map((ms) => ms.toFixed(2)).join(' | ')} | ${ratio.toFixed(2)} |`);
}
await database.close();
