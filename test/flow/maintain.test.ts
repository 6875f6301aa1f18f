import { describe, expect } from 'vitest';
import { isFinished, RUN_STATES, type RunState } from '../../src/domain/run-state.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import { archiveRuns, prune } from '../../src/ledger/retention.ts';
import { runProgram } from '../support/cli.ts';
import type { Json } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { countRuns, created, runOf, wholeLedger } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import { forceState, newRun } from '../support/runs.ts';
import { db, ownConnection, rowsRead, test } from '../support/ledger-fixture.ts';

/** A run in this state that has not changed for this many days. */
async function oldRun(state: RunState, days: number): Promise<string> {
  const { runId } = await recordRun(db, { run: newRun(), claim: true });
  await forceState(db, runId, state);
  const text = `UPDATE facteur.runs SET (accepted_at, updated_at) = (now() - make_interval(days => $2), now() - make_interval(days => $2))
    WHERE run_id = $1`;
  await db.query({ text, values: [runId, days] });
  return runId;
}

async function maintained(facteur: Facteur, ...args: string[]): Promise<Json> {
  const { code, stdout } = await facteur.cli('maintain', '--json', ...args);
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

async function history(): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({
    text: 'SELECT archived_run_id AS id FROM codex_kb.task_runs_history',
  });
  return rows.map(({ id }) => id).toSorted();
}

async function present(): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>({ text: 'SELECT id FROM codex_kb.task_runs' });
  return rows.map(({ id }) => id).toSorted();
}

test('old finished runs move to the history with everything that belongs to them; live ones stay', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  const old = await Promise.all(RUN_STATES.map(async (state) => ({ state, id: await oldRun(state, 91) })));
  const young = await oldRun('succeeded', 89);
  // It waited for months, and has just ended.
  const changed = await oldRun('failed', 91);
  await db.query({ text: 'UPDATE facteur.runs SET updated_at = now() WHERE run_id = $1', values: [changed] });
  const finished = old.filter(({ state }) => isFinished(state)).map(({ id }) => id);
  const live = old.filter(({ state }) => !isFinished(state)).map(({ id }) => id);
  await db.query({
    text: `INSERT INTO codex_kb.run_metrics (task_run_id, runtime_ms) VALUES ($1, 1234)`,
    values: [finished[0]],
  });
  const { code, stdout } = await facteur.cli('maintain');
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout:
      `${finished.length} runs moved to the history, 0 kept because they have reflections or artifacts\n` +
      '0 settled and 0 other dead letters deleted\n0 refusals deleted\n' +
      '0 reflections retired because runs that received them succeeded less often\n',
  });
  expect(await history()).toEqual(finished.toSorted());
  expect(await present()).toEqual([...live, young, changed].toSorted());
  expect(await countRuns(db)).toBe(old.length + 2);
  const { rows } = await db.query({
    text: 'SELECT snapshot FROM codex_kb.task_runs_history WHERE archived_run_id = $1',
    values: [finished[0]],
  });
  expect(rows[0]?.['snapshot']).toMatchObject({
    run: { id: finished[0], delivery_id: expect.any(String) },
    facteur: { run_id: finished[0], workflow_name: expect.any(String) },
    events: [{ event_type: 'state.change' }],
    metrics: { runtime_ms: 1234 },
  });
  // A second time, nothing is left to do.
  expect(await maintained(facteur)).toMatchObject({ archived: 0, kept: 0 });
});

describe('dead letters and refusals', () => {
  /** Adds dead letters and refusals of several ages. */
  async function fill(): Promise<void> {
    await db.query({
      text: `INSERT INTO facteur.dead_letters (door, reason, body, created_at, settled_at, outcome)
        SELECT 'http', 'open', ''::bytea, now() - make_interval(days => age), NULL, '' FROM unnest(ARRAY[1, 40, 200]) AS age
        UNION ALL SELECT 'http', 'settled', ''::bytea, now() - interval '300 days', now() - make_interval(days => age), 'dropped'
          FROM unnest(ARRAY[1, 40, 200]) AS age`,
    });
    await db.query({
      text: `INSERT INTO facteur.refusals (door, delivery_id, command, user_id, reason, created_at)
        SELECT 'http', '', 'plan', '', '', now() - make_interval(days => n / 10) FROM generate_series(1000, 2600) n`,
    });
  }
  async function left(): Promise<Record<string, number>> {
    const { rows } = await db.query<{ what: string; count: number }>({
      text: `SELECT reason AS what, count(*)::int FROM facteur.dead_letters GROUP BY 1
        UNION ALL SELECT 'refusals', count(*)::int FROM facteur.refusals`,
    });
    return Object.fromEntries(rows.map(({ what, count }) => [what, count]));
  }

  test('are deleted when they are old, settled ones sooner', async () => {
    const facteur = await startFacteur({ db, roles: [] });
    await fill();
    const expected = { settledDeadLetters: 2, deadLetters: 1, refusals: 801 };
    const before = await left();
    expect(await maintained(facteur, '--dry-run')).toMatchObject(expected);
    expect(await left()).toEqual(before);
    expect(await maintained(facteur)).toMatchObject(expected);
    expect(await left()).toEqual({ open: 2, settled: 1, refusals: 800 });
    expect(await maintained(facteur)).toMatchObject({ settledDeadLetters: 0, deadLetters: 0, refusals: 0 });
  });

  test('are deleted at the given ages', async () => {
    const facteur = await startFacteur({ db, roles: [] });
    await fill();
    const ages = ['--dead-letters-older-than', '30d', '--settled-older-than', '12h', '--refusals-older-than', '1d'];
    const { code, stdout } = await facteur.cli('maintain', ...ages);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringContaining('3 settled and 2 other dead letters deleted\n1601 refusals deleted\n'),
    });
    expect(await left()).toEqual({ open: 1, refusals: 0 });
    for (const option of ['--dead-letters-older-than', '--settled-older-than', '--refusals-older-than']) {
      expect(await facteur.cli('maintain', option, 'soon')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(option),
      });
    }
  });
});

test('a dry run counts in batches', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  await db.query({
    text: `INSERT INTO facteur.refusals (door, delivery_id, command, user_id, reason, created_at)
      SELECT 'http', n::text, 'plan', '', '', now() - interval '200 days' FROM generate_series(1, 12000) n`,
  });
  let batches = 0;
  facteur.faults.before = (statement) => void (batches += statement === 'count-refusals' ? 1 : 0);
  expect(await maintained(facteur, '--dry-run')).toMatchObject({ refusals: 12_000 });
  expect(batches).toBe(3);
});

test('deleting a batch does not read all old rows', async () => {
  await db.query({
    text: `INSERT INTO facteur.refusals (door, delivery_id, command, user_id, reason, created_at)
      SELECT 'http', n::text, 'plan', '', '', now() - n * interval '1 hour' FROM generate_series(1, 5000) n`,
  });
  await db.query({ text: 'ANALYZE facteur.refusals' });
  const own = await ownConnection();
  const olderThanSeconds = 4000 * 3600;
  // From the sixth execution on, PostgreSQL uses one plan for all ages.
  for (let time = 1; time <= 8; time += 1) {
    const before = await rowsRead(own.db, 'facteur.refusals');
    expect(await prune(own.db, 'refusals', { olderThanSeconds, limit: 10 })).toBe(10);
    expect((await rowsRead(own.db, 'facteur.refusals')) - before).toBeLessThan(100);
  }
  await own.close();
});

test('refusals are listed newest first, in pages and without control characters', async () => {
  const facteur = await startFacteur({ db, env: { FACTEUR_ROLE_MAP: '{"plan": ["123456789012345678"]}' } });
  expect((await facteur.cli('refusals', 'list')).stdout).toBe('no refusals\n');
  for (const [id, user] of [
    ['d1', '1'],
    ['d2', '2\u001b[31m'],
  ] as const) {
    expect((await facteur.send(event({ interactionId: id, user: { id: user } }))).status).toBe(403);
  }
  const { stdout } = await facteur.cli('refusals', 'list');
  expect(stdout).toMatch(/^ID +AGE +DOOR +COMMAND +USER +REASON\n\d+ .* http +plan +2\\u001b.*\n\d+ .* 1 .*\n$/);
  const page = async (...args: string[]) =>
    (await facteur.cli('refusals', 'list', '--json', '--limit', '1', ...args)).stdout;
  const newest = JSON.parse(await page());
  expect(newest).toMatchObject({ door: 'http', deliveryId: 'd2', command: 'plan', reason: expect.any(String) });
  expect(JSON.parse(await page('--before', newest.id))).toMatchObject({ deliveryId: 'd1', userId: '1' });
  expect(JSON.parse(await page('--user', '1'))).toMatchObject({ deliveryId: 'd1' });
  expect(await page('--command', 'review')).toBe('');
  expect((await facteur.cli('refusals', 'list', '--before', 'x')).code).toBe(2);
});

test('runs with reflections or artifacts are not archived', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  const [taught, made, plain] = [await oldRun('failed', 91), await oldRun('failed', 91), await oldRun('failed', 91)];
  await db.query({
    text: `INSERT INTO codex_kb.reflections (task_run_id, reflection_type, content) VALUES ($1, 'lesson', 'Measure twice.')`,
    values: [taught],
  });
  await db.query({
    text: `INSERT INTO codex_kb.artifacts (task_run_id, artifact_type, uri) VALUES ($1, 'patch', 's3://x')`,
    values: [made],
  });
  expect(await maintained(facteur, '--dry-run')).toMatchObject({ archived: 1, kept: 2, dryRun: true });
  expect(await history()).toEqual([]);
  expect(await maintained(facteur)).toMatchObject({ archived: 1, kept: 2, dryRun: false });
  expect(await history()).toEqual([plain]);
  expect(await present()).toEqual([taught, made].toSorted());
  expect((await db.query({ text: 'SELECT FROM codex_kb.reflections' })).rowCount).toBe(1);
});

test('a redelivery after archiving is still a duplicate with the same answer, and changes nothing', async () => {
  const aYearAgo = new Date(Date.now() - 365 * 86_400_000);
  const facteur = await startFacteur({ db, context: { clock: { now: () => aYearAgo } } });
  const messages = [event({ interactionId: 'd1' }), codexTask({ deliveryId: 'd2' })];
  const answers = await Promise.all(messages.map((message) => facteur.send(message)));
  for (const { body } of answers) {
    await forceState(db, body.runId, 'succeeded');
  }
  await db.query({ text: `UPDATE facteur.runs SET updated_at = accepted_at` });
  expect(await maintained(facteur)).toMatchObject({ archived: 2, kept: 0 });
  const before = await wholeLedger(db);
  for (const [index, message] of messages.entries()) {
    expect(await facteur.send(message)).toMatchObject({
      status: 202,
      body: { ...answers[index]?.body, duplicate: true },
    });
  }
  expect(await wholeLedger(db)).toBe(before);
  expect(created(facteur.cluster)).toHaveLength(2);
  expect((await facteur.cli('runs', 'show', 'd1')).code).toBe(0);
  expect(await facteur.cli('runs', 'retry', 'd1')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^facteur: run [0-9a-f]{8} \(\/plan\) is archived or unknown\n$/),
  });
  expect(await runOf(db, 'd1')).toMatchObject({ plan: null, state: 'succeeded' });
});

test('a dry run of a retry says that the run is archived', async () => {
  const aYearAgo = new Date(Date.now() - 365 * 86_400_000);
  const facteur = await startFacteur({ db, context: { clock: { now: () => aYearAgo } } });
  const { body } = await facteur.send(event({ interactionId: 'd1' }));
  await forceState(db, body.runId, 'failed');
  await db.query({ text: `UPDATE facteur.runs SET updated_at = accepted_at` });
  expect(await maintained(facteur)).toMatchObject({ archived: 1 });
  expect((await facteur.cli('runs', 'retry', '--dry-run', 'd1')).stdout).toMatch(
    /^would not retry .*: it is archived\n$/,
  );
});

test('batches visit each run once, even if runs between them stay', async () => {
  const ids: string[] = [];
  for (let index = 0; index < 7; index += 1) {
    ids.push(await oldRun('failed', 100));
  }
  // All of one moment: only their ids order them.
  await db.query({
    text: `UPDATE facteur.runs SET (accepted_at, updated_at) = ('2020-01-01T00:00:00.123456Z', '2020-01-01T00:00:00.123456Z')`,
  });
  await db.query({
    text: `INSERT INTO codex_kb.reflections (task_run_id, reflection_type, content) SELECT unnest($1::uuid[]), 'lesson', 'x'`,
    values: [ids.slice(0, 2)],
  });
  let [seen, archived, batches] = [0, 0, 0];
  const batch = { olderThanSeconds: 60, limit: 2 };
  for (let next = await archiveRuns(db, batch); ; next = await archiveRuns(db, { ...batch, after: next.next })) {
    seen += next.seen;
    archived += next.archived;
    batches += 1;
    if (next.next === undefined) {
      break;
    }
  }
  expect({ seen, archived, batches }).toEqual({ seen: 7, archived: 5, batches: 4 });
  expect(await present()).toEqual(ids.slice(0, 2).toSorted());
});

test('archiving reads only the checks of the archived runs', async () => {
  const old = [await oldRun('failed', 100), await oldRun('failed', 100)];
  await db.query({
    text: `WITH made AS (INSERT INTO codex_kb.task_runs (task_id, status, delivery_id)
        SELECT task_id, 'succeeded', 'other-' || n FROM codex_kb.task_runs, generate_series(1, 5000) n WHERE id = $1 RETURNING id, task_id)
      INSERT INTO codex_kb.policy_checks (idea_id, task_run_id, policy_key, status)
      SELECT t.idea_id, r.id, 'tests.required', 'pass'
      FROM (TABLE made UNION ALL SELECT id, task_id FROM codex_kb.task_runs) r JOIN codex_kb.tasks t ON t.id = r.task_id`,
    values: [old[0]],
  });
  await db.session((session) => session.query({ text: 'VACUUM ANALYZE' }));
  const { db: counted, close } = await ownConnection();
  const before = await rowsRead(counted, 'codex_kb.policy_checks');
  expect(await archiveRuns(counted, { olderThanSeconds: 60, limit: 10 })).toMatchObject({ archived: 2 });
  expect((await rowsRead(counted, 'codex_kb.policy_checks')) - before).toBeLessThan(100);
  await close();
  expect((await db.query({ text: 'SELECT FROM codex_kb.policy_checks WHERE task_run_id IS NULL' })).rowCount).toBe(2);
});

test('every foreign key to rows that may be deleted has an index', async () => {
  const { rows } = await db.query<{ reference: string }>({
    text: `SELECT conrelid::regclass || '.' || attname AS reference
      FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
      WHERE contype = 'f' AND connamespace IN ('codex_kb'::regnamespace, 'facteur'::regnamespace) AND NOT EXISTS (
        SELECT FROM pg_index WHERE indrelid = conrelid AND indisvalid AND indkey[0] = conkey[1]
          AND coalesce(pg_get_expr(indpred, indrelid), '') IN ('', format('(%I IS NOT NULL)', attname)))`,
  });
  // Nothing deletes tasks.
  expect(rows).toEqual([{ reference: 'codex_kb.task_dependencies.depends_on_task_id' }]);
});

test('a terminal shows the progress and is left clean; programs get only the result', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  await oldRun('failed', 100);
  const shown = await facteur.cliOn(80, {}, 'maintain');
  expect(shown.stderr).toMatch(/^(?:\r\u001b\[K[a-z]+: 0 [a-z ]+ so far)+\r\u001b\[K$/);
  expect(shown.stdout).toMatch(/^1 run moved to the history/);
  await oldRun('failed', 100);
  const piped = await facteur.cli('maintain', '-o', 'yaml');
  expect(piped).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^settledDeadLetters: 0$/m) });
  expect(piped.stdout).toMatch(/^archived: 1$/m);
});

test('an invalid age is wrong usage', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  for (const age of ['0d', '-1d', 'soon', '90', '', '9999999999h']) {
    const { code, stderr } = await facteur.cli('maintain', '--older-than', age);
    expect({ age, code }).toEqual({ age, code: 2 });
    expect(stderr).toContain('--older-than');
  }
  const nowhere = await runProgram(['maintain', '--older-than', '90'], {});
  expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('--older-than') });
  await oldRun('failed', 2);
  expect((await facteur.cli('maintain', '--older-than', '36h', '--json')).stdout).toContain('"archived":1');
});
