import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import { isFinished, RUN_STATES, type RunState } from '../../src/domain/run-state.ts';
import { archiveRuns } from '../../src/ledger/archive-runs.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns, created, emptyLedger, runOf, wholeLedger } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import { forceState, newRun } from '../support/runs.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(db));

/** A run in this state that nothing has touched for so many days. */
async function oldRun(state: RunState, days: number): Promise<string> {
  const { runId } = await recordRun(db, { run: newRun(), claim: true });
  await forceState(db, runId, state);
  const text = `UPDATE facteur.runs SET updated_at = now() - make_interval(days => $2) WHERE run_id = $1`;
  await db.query({ text, values: [runId, days] });
  return runId;
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

test('finished runs that are old enough go to the history, with all that happened to them; live ones stay', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  const old = await Promise.all(RUN_STATES.map(async (state) => ({ state, id: await oldRun(state, 91) })));
  const young = await oldRun('succeeded', 89);
  const finished = old.filter(({ state }) => isFinished(state)).map(({ id }) => id);
  const live = old.filter(({ state }) => !isFinished(state)).map(({ id }) => id);
  await db.query({
    text: `INSERT INTO codex_kb.run_metrics (task_run_id, runtime_ms) VALUES ($1, 1234)`,
    values: [finished[0]],
  });
  const { code, stdout } = await facteur.cli('maintain');
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: `${finished.length} runs moved to the history, 0 kept because they hold reflections or artifacts\n`,
  });
  expect(await history()).toEqual(finished.toSorted());
  expect(await present()).toEqual([...live, young].toSorted());
  expect(await countRuns(db)).toBe(old.length + 1);
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
  // Again, and there is nothing left to do.
  expect((await facteur.cli('maintain', '--json')).stdout).toBe('{"archived":0,"kept":0}\n');
});

test('a run that taught something stays whole, and so do its reflections', async () => {
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
  expect((await facteur.cli('maintain', '--json')).stdout).toBe('{"archived":1,"kept":2}\n');
  expect(await history()).toEqual([plain]);
  expect(await present()).toEqual([taught, made].toSorted());
  expect((await db.query({ text: 'SELECT FROM codex_kb.reflections' })).rowCount).toBe(1);
});

test('a redelivery after archiving is still a duplicate with the same answer, and changes nothing', async () => {
  const facteur = await startFacteur({ db });
  const messages = [event({ interactionId: 'd1' }), codexTask({ deliveryId: 'd2' })];
  const answers = await Promise.all(messages.map((message) => facteur.send(message)));
  for (const { body } of answers) {
    await forceState(db, body.runId, 'succeeded');
  }
  await db.query({ text: `UPDATE facteur.runs SET updated_at = now() - interval '1 year'` });
  expect((await facteur.cli('maintain', '--json')).stdout).toBe('{"archived":2,"kept":0}\n');
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
    stderr: 'facteur: there is no such run, or it was archived\n',
  });
  expect(await runOf(db, 'd1')).toMatchObject({ plan: null, state: 'succeeded' });
});

test('batches go over all of it once, with runs between that stay', async () => {
  const ids: string[] = [];
  for (let index = 0; index < 7; index += 1) {
    ids.push(await oldRun('failed', 100));
  }
  // All of one moment, so that the order among them is by id alone.
  await db.query({ text: `UPDATE facteur.runs SET updated_at = '2020-01-01T00:00:00.123456Z'` });
  await db.query({
    text: `INSERT INTO codex_kb.reflections (task_run_id, reflection_type, content) SELECT unnest($1::uuid[]), 'lesson', 'x'`,
    values: [ids.slice(0, 2)],
  });
  let [seen, archived, batches] = [0, 0, 0];
  for (let next = await archiveRuns(db, 60, 2); ; next = await archiveRuns(db, 60, 2, next.next)) {
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

test('an age that is none is wrong usage', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  for (const age of ['0d', '-1d', 'soon', '90', '']) {
    const { code, stderr } = await facteur.cli('maintain', '--older-than', age);
    expect({ age, code }).toEqual({ age, code: 2 });
    expect(stderr).toContain('--older-than');
  }
  await oldRun('failed', 2);
  expect((await facteur.cli('maintain', '--older-than', '36h', '--json')).stdout).toContain('"archived":1');
});
