import { expect } from 'vitest';
import type { Queryable } from '../clients/postgres/database.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { findRuns, listRunEvents, listRuns, readRun, SEARCHED_RUNS, type RunFilter } from './find-runs.ts';

const RUNS = 20_000;
/** Rows read for a page of 50, including those that no index can exclude. */
const READ_AT_MOST = RUNS / 8;

/** One in 100 failed, one in 1,000 was of a rare command, and one in 2,000 is running. */
const FILL = `
WITH made AS (
  INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, previous_state, namespace, workflow_name,
    plan, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
  SELECT gen_random_uuid(), 'd' || n, 'command:d' || n, 'command', CASE WHEN n % 1000 = 0 THEN 'deploy' ELSE 'plan' END, 'http',
    CASE WHEN n % 100 = 0 THEN 'failed' WHEN n % 2000 = 1 THEN 'running' ELSE 'succeeded' END,
    CASE n % 2000 WHEN 1 THEN 'submitted' ELSE 'running' END, 'argo', 'w' || n, '{}', '', '',
    'u' || n % 200, '', '', now() - n * interval '1 second'
  FROM generate_series(1, ${RUNS}) n
  RETURNING run_id, state
), open AS (
  INSERT INTO facteur.open_runs (run_id, line, in_cluster) SELECT run_id, 'create', true FROM made WHERE state = 'running'
), ideas AS (
  INSERT INTO codex_kb.ideas (source_type, source_ref, status, payload) VALUES ('x', 'x', 'x', '{}') RETURNING id
), tasks AS (
  INSERT INTO codex_kb.tasks (idea_id, stage, state) SELECT id, 'x', 'x' FROM ideas RETURNING id
), task_runs AS (
  INSERT INTO codex_kb.task_runs (id, task_id, status, delivery_id)
  SELECT run_id, tasks.id, 'x', run_id::text FROM made, tasks RETURNING id
)
INSERT INTO codex_kb.run_events (task_run_id, event_type) SELECT id, 'x' FROM task_runs`;

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Index Recheck'?: number;
  readonly Plans?: readonly Plan[];
}

/** How many rows a statement reads, and with which plan nodes: runs it with EXPLAIN ANALYZE. */
async function reads(ask: (explained: Queryable) => Promise<unknown>): Promise<{ nodes: string[]; rows: number }> {
  const nodes: string[] = [];
  let rows = 0;
  const visit = (plan: Plan): void => {
    const children = plan.Plans ?? [];
    nodes.push([plan['Node Type'], plan['Relation Name']].join(' ').trim());
    if (children.length === 0) {
      const { 'Rows Removed by Filter': filtered = 0, 'Rows Removed by Index Recheck': rechecked = 0 } = plan;
      rows += (plan['Actual Rows'] + filtered + rechecked) * plan['Actual Loops'];
    }
    children.forEach(visit);
  };
  await ask({
    async query({ text, values }) {
      const statement = { text: `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, ...(values === undefined ? {} : { values }) };
      const explained = await db.query<{ 'QUERY PLAN': readonly [{ readonly Plan: Plan }] }>(statement);
      for (const { 'QUERY PLAN': plan } of explained.rows) {
        visit(plan[0].Plan);
      }
      return { rows: [], rowCount: 0 };
    },
  });
  return { nodes, rows };
}

/** Whether a whole table is read. `open_runs` does not count: it is small. */
const readsTable = (nodes: readonly string[]): boolean =>
  nodes.some((node) => node.startsWith('Seq Scan') && node !== 'Seq Scan open_runs');

const FILTERS: readonly [string, RunFilter][] = [
  ['all', { limit: 50 }],
  ['live ones', { limit: 50, states: ['queued', 'submitted', 'running'] }],
  ['failed ones', { limit: 50, states: ['failed', 'error'] }],
  ['those of a user', { limit: 50, userId: 'u7' }],
  ['those of a user who has none', { limit: 50, userId: 'nobody' }],
  ['a rare command', { limit: 50, command: 'deploy' }],
  ['a command that never ran', { limit: 50, command: 'nothing' }],
  ['failed ones of a user and a command', { limit: 50, userId: 'u0', command: 'plan', states: ['failed'] }],
];

test('no query reads a whole table or too many rows, on any page', async () => {
  await db.query({ text: FILL });
  await db.session((session) => session.query({ text: 'ANALYZE' }));
  const { rows } = await db.query<{ id: string }>({
    text: `SELECT run_id AS id FROM facteur.runs WHERE delivery_id = 'd${RUNS / 2}'`,
  });
  const middle = rows[0]?.id;
  for (const [what, filter] of FILTERS) {
    for (const before of [undefined, middle]) {
      const read = await reads((explained) => listRuns(explained, { ...filter, before }));
      const judged = [what, readsTable(read.nodes), Math.max(READ_AT_MOST, read.rows)];
      expect(judged).toEqual([what, false, READ_AT_MOST]);
    }
  }
  for (const ask of [
    (explained: Queryable) => readRun(explained, middle ?? '', null),
    (explained: Queryable) => findRuns(explained, (middle ?? '').slice(0, 13)),
    (explained: Queryable) => listRunEvents(explained, middle ?? ''),
  ]) {
    const read = await reads(ask);
    expect([readsTable(read.nodes), Math.max(4, read.rows)]).toEqual([false, 4]);
  }
  for (const filter of [{ text: 'nothing' }, { door: 'discord' }, { text: 'nothing', command: 'deploy' }]) {
    const read = await reads((explained) => listRuns(explained, { ...filter, limit: 50 }));
    // Each row counts twice: in the leaf, and in the result of the search.
    expect([readsTable(read.nodes), Math.max(2 * SEARCHED_RUNS, read.rows)]).toEqual([false, 2 * SEARCHED_RUNS]);
  }
});
