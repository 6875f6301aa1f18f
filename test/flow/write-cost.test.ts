import { beforeEach, expect } from 'vitest';
import { startFacteur } from '../support/facteur.ts';
import { codexTask, event } from '../support/messages.ts';
import { countRuns } from '../support/ledger.ts';
import { newRun, observeRun, submitRun } from '../support/runs.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import { db, test } from '../support/ledger-fixture.ts';

/*
 * The cost of a delivery in the database, counted rather than timed: a busy machine does not change it. The embedded
 * database has its own WAL, so nothing else writes to it.
 */

const WARM_UP = 10;
const DELIVERIES = 21;
/** Statements of the sweep and of readiness, which run periodically. */
const BY_THE_CLOCK = new Set(['due-work', 'ping', 'claim-lease']);

async function logPosition(): Promise<number> {
  const text = `SELECT (pg_current_wal_insert_lsn() - '0/0')::float8 AS position`;
  return (await db.query<{ position: number }>({ text })).rows[0]?.position ?? 0;
}

/** Rows updated so far in each table, and how many of them wrote to no index. */
async function updates(): Promise<Record<string, { all: number; hot: number }>> {
  await db.query({ text: 'SELECT pg_stat_force_next_flush()' });
  const { rows } = await db.query<{ relname: string; all: number; hot: number }>({
    text: `SELECT relname, n_tup_upd::float8 AS all, n_tup_hot_upd::float8 AS hot FROM pg_stat_user_tables
      WHERE schemaname IN ('facteur', 'codex_kb') AND relname IN ('runs', 'tasks', 'task_runs')`,
  });
  return Object.fromEntries(rows.map(({ relname, ...counts }) => [relname, counts]));
}

/** Counts updates from now on, by `table`, and by `table hot` if any of them wrote to no index. */
async function countUpdates(): Promise<(per: number) => Promise<Record<string, number>>> {
  const earlier = await updates();
  return async (per) => {
    const counts = Object.entries(await updates()).flatMap(([table, { all, hot }]) => [
      [table, (all - (earlier[table]?.all ?? 0)) / per] as const,
      [`${table} hot`, (hot - (earlier[table]?.hot ?? 0)) / per] as const,
    ]);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  };
}

// Without it, the result depends on earlier tests: the first change of a page after VACUUM writes more.
beforeEach(() => db.session((session) => session.query({ text: 'VACUUM' })));

const median = (of: readonly number[]): number => of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)] ?? 0;

test.each([
  ['a command', (id: string) => event({ interactionId: id }), 4_800],
  ['a Codex task', (id: string) => codexTask({ deliveryId: id }), 5_400],
])('%s, from the door to submitted, stays within its limits', async (_, message, limit) => {
  const statements: string[] = [];
  const facteur = await startFacteur({ db, faults: { before: (name) => void statements.push(name) } });
  const counted = await countUpdates();
  const bytes: number[] = [];
  for (let index = 0; index < WARM_UP + DELIVERIES; index += 1) {
    if (index === WARM_UP) {
      statements.length = 0;
    }
    const before = await logPosition();
    const { body } = await facteur.send(message(`cost-${index}`));
    expect(body.status).toBe('submitted');
    await expect.poll(() => countRuns(db, 'queued'), { interval: 5 }).toBe(0);
    bytes.push((await logPosition()) - before);
  }
  // One records, one marks. On a slow machine the sweep claims now and then, too.
  const asked = statements.filter((name) => !BY_THE_CLOCK.has(name));
  expect(asked.length / DELIVERIES).toBeLessThan(2.2);
  // Most deliveries split no page of an index.
  expect(median(bytes.slice(WARM_UP))).toBeLessThanOrEqual(limit);
  // Codex tasks of one issue share a task, which is written once more for each.
  const { tasks = 0, ...others } = await counted(bytes.length);
  expect({ ...others, tasks: Math.min(tasks, 1) }).toEqual({ runs: 1, 'runs hot': 1, tasks });
});

test('from submitted to its end, a run writes to no index of its table', async () => {
  const counted = await countUpdates();
  const bytes: number[] = [];
  for (let index = 0; index < DELIVERIES; index += 1) {
    const { runId } = await recordRun(db, { run: newRun(), claim: true });
    await submitRun(db, runId);
    const before = await logPosition();
    await observeRun(db, runId, { state: 'running', version: 1n, progress: '0/3', startedAt: new Date() });
    await observeRun(db, runId, { state: 'running', version: 2n, progress: '1/3' });
    await observeRun(db, runId, { state: 'running', version: 3n, progress: '2/3' });
    await observeRun(db, runId, { state: 'succeeded', version: 4n, progress: '3/3', finishedAt: new Date() });
    bytes.push((await logPosition()) - before);
  }
  expect(median(bytes)).toBeLessThanOrEqual(4_400);
  expect(await counted(DELIVERIES)).toEqual({ runs: 5, 'runs hot': 5, tasks: 2, task_runs: 2 });
});
