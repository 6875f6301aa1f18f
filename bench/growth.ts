/**
 * How each operation on the ledger grows with the runs that it holds: 1,000, then ten times as many, up to a million. Needs
 * a real PostgreSQL (`node scripts/services.ts run -- node bench/growth.ts`). BENCH_SIZES names other sizes,
 * BENCH_ONLY a regular expression for some of the operations.
 *
 * A sequential scan of a run table while the operations run is counted by Postgres itself and is a fault.
 */
import { randomUUID } from 'node:crypto';
import { findForRetry, requestCancel } from '../src/ledger/cancel-and-retry.ts';
import { findRun, listRunEvents, listRuns, readRun } from '../src/ledger/find-runs.ts';
import { observationOfCreate, observeWorkflows } from '../src/ledger/observe-workflows.ts';
import { recordRun } from '../src/ledger/record-run.ts';
import { archiveRuns } from '../src/ledger/retention.ts';
import { claimDueRuns } from '../src/ledger/submission-queue.ts';
import { openBench } from './open-bench.ts';
import { commandNewRun } from './requests.ts';

const SIZES = (process.env['BENCH_SIZES'] ?? '1000,10000,100000,1000000').split(',').map(Number);
const ONLY = new RegExp(process.env['BENCH_ONLY'] ?? '');
const ROUNDS = 300;
/** Kept free of finished rows, so that what is measured is finding live work among many dead. */
const LIVE = 200;

const bench = await openBench('growth', `median of ${ROUNDS} (99th percentile)`);
const { database } = bench;
const { db } = database;

/** Finished runs as the product leaves them, made by the server: one in 100 failed, one in 5,000 is of a rare command. */
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
INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, previous_state, namespace, workflow_name,
  workflow_uid, plan, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at, updated_at)
SELECT id, 'fill-' || n, 'command:fill-' || n, 'command', CASE WHEN n % 5000 = 0 THEN 'deploy' ELSE 'plan' END, 'http',
  CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'succeeded' END, 'running', 'argo', 'plan-fill-' || n,
  gen_random_uuid(), '{"namespace":"argo","workflowTemplate":"t","parameters":{"action":"plan"}}', 'c', '', 'u' || n % 1000,
  '', '', at, at
FROM made`;

/** All that was not made by the server. */
const FORGET = `
DELETE FROM facteur.open_runs;
DELETE FROM facteur.runs WHERE delivery_id NOT LIKE 'fill-%';
DELETE FROM codex_kb.ideas WHERE source_ref NOT LIKE 'fill-%';`;

/** Runs that wait for their turn, one for ten that are over, as after a cluster was down for hours. */
const WAIT = `
WITH made AS (
  INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, namespace, workflow_name, plan, correlation_id,
    traceparent, user_id, guild_id, channel_id, accepted_at)
  SELECT gen_random_uuid(), 'wait-' || n, 'command:wait-' || n, 'command', 'plan', 'http', 'queued', 'argo', 'plan-wait-' || n,
    '{"namespace":"argo","workflowTemplate":"t","parameters":{"action":"plan"}}', 'c', '', 'u', '', '', now()
  FROM generate_series(1, $1::int / 10) n RETURNING run_id
)
INSERT INTO facteur.open_runs (run_id, line, in_cluster, due_at) SELECT run_id, 'create', false, now() - interval '1 hour' FROM made`;

/** A run of this moment, at the state that an operation needs. */
async function fresh(to?: 'submitted'): Promise<string> {
  const { runId } = await recordRun(db, { run: commandNewRun(), claim: true });
  if (to === 'submitted') {
    await mark(runId);
  }
  return runId;
}

/** The run's workflow was created, as the submitter writes it. */
async function mark(runId: string): Promise<unknown> {
  const run = await findRun(db, runId);
  if (run === undefined) {
    throw new Error(`run ${runId} is not in the ledger`);
  }
  return observeWorkflows(db, [observationOfCreate(run, { ...run, workflowUid: randomUUID() })], 'fleeting');
}

interface Operation {
  /** Once, before all rounds. */
  readonly fill?: (size: number) => Promise<void>;
  /** Outside the clock, where a round needs a run of its own. */
  readonly prepare?: () => Promise<string>;
  readonly run: (id: string) => Promise<unknown>;
}

async function backlog(size: number): Promise<void> {
  await db.session((session) => session.query({ text: WAIT, values: [size] }));
  await db.session((session) => session.query({ text: 'VACUUM ANALYZE facteur.runs' }));
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  record: { run: () => recordRun(db, { run: commandNewRun(), claim: true }) },
  'record a duplicate': {
    run: () => recordRun(db, { run: { ...commandNewRun(), deliveryId: 'fill-500' }, claim: true }),
  },
  'claim due runs': { run: () => claimDueRuns(db, { limit: 1, maxActive: undefined }) },
  'claim with admission': { run: () => claimDueRuns(db, { limit: 1, maxActive: 10_000 }) },
  'mark submitted': { prepare: () => fresh(), run: mark },
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
  // What GET /v1/runs/{runId} asks, and GET /v1/runs with its filters.
  'get a run': {
    prepare: async () => (await findRun(db, `fill-${1 + Math.floor(Math.random() * 1000)}`))?.runId ?? '',
    run: async (id) => [await readRun(db, id, null), await listRunEvents(db, id)],
  },
  'list failed runs': { run: () => listRuns(db, { limit: 50, states: ['failed', 'error'] }) },
  "list a user's runs": { run: () => listRuns(db, { limit: 50, userId: 'u7' }) },
  'list a rare command': { run: () => listRuns(db, { limit: 50, command: 'deploy' }) },
  'list a command that never ran': { run: () => listRuns(db, { limit: 50, command: 'nothing' }) },
  "list a user's failed runs of a command": {
    run: () => listRuns(db, { limit: 50, userId: 'u0', command: 'plan', states: ['failed'] }),
  },
  'list a late page': {
    prepare: async () => (await findRun(db, 'fill-900'))?.runId ?? '',
    run: (before) => listRuns(db, { limit: 50, before, command: 'plan' }),
  },
  'list events': { prepare: () => fresh('submitted'), run: (id) => listRunEvents(db, id) },
  'request a cancel': { prepare: () => fresh('submitted'), run: (id) => requestCancel(db, id, 'bench') },
  'find for retry': { prepare: () => fresh(), run: (id) => findForRetry(db, id) },
  'look for runs to archive': { run: () => archiveRuns(db, { olderThanSeconds: 10 * 365 * 86_400, limit: 100 }) },
  // Last, because of what they leave behind: a backlog.
  'claim with admission, a tenth waiting': {
    fill: backlog,
    run: () => claimDueRuns(db, { limit: 1, maxActive: 10_000 }),
  },
  'no room, a tenth waiting': { run: () => claimDueRuns(db, { limit: 64, maxActive: 1 }) },
};

/** Milliseconds. */
interface Latency {
  readonly median: number;
  readonly p99: number;
}

async function measure(name: string, size: number): Promise<Latency> {
  const operation = OPERATIONS[name];
  await operation?.fill?.(size);
  const latencies: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const id = (await operation?.prepare?.()) ?? '';
    const from = performance.now();
    await operation?.run(id);
    latencies.push(performance.now() - from);
  }
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(ROUNDS * share)] ?? 0;
  return { median: at(0.5), p99: at(0.99) };
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

const results = new Map<string, Latency[]>();
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
  for (const name of Object.keys(OPERATIONS).filter((one) => ONLY.test(one))) {
    const before = await sequentialScans();
    results.set(name, [...(results.get(name) ?? []), await measure(name, size)]);
    const after = await sequentialScans();
    const scanned = [...after].map(([table, scans]) => [table, scans - (before.get(table) ?? 0)] as const);
    for (const [table, scans] of scanned.filter(([, more]) => more > 0)) {
      console.error(`${size} runs: ${name}: ${scans} sequential scans of ${table}`);
    }
  }
}

bench.report({
  operations: {
    columns: ['operation, median ms', ...SIZES.map((size) => `${size.toLocaleString('en')} runs`), 'last / first'],
    rows: [...results].map(([name, found]) => {
      const ratio = (found.at(-1)?.median ?? 0) / (found[0]?.median ?? 1);
      const cells = found.map(({ median, p99 }) => `${median.toFixed(2)} (${p99.toFixed(2)})`);
      return [name, ...cells, Number(ratio.toFixed(2))];
    }),
  },
});
await database.close();
