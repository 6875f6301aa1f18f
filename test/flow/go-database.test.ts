import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { goRows, makeGoDatabase } from '../support/go-database.ts';
import { created, runOf } from '../support/ledger.ts';
import { asProtobuf, codexTask } from '../support/messages.ts';

// Invariant 7: works on a database that the Go service used before and may use again.

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await createTestDatabase({ migrated: false });
  ({ db } = database);
});
afterEach(() => database.close());

test('a delivery whose workflow is known is a duplicate: it submits and changes nothing', async () => {
  await makeGoDatabase(db, 3);
  const before = await goRows(db);
  const facteur = await startFacteur({ db });
  const message = codexTask({ deliveryId: 'go-delivery-7b' });
  const run = { runId: 'c0000000-0000-4000-8000-000000000003', workflowName: 'github-codex-implementation-x7k2p' };
  const answer = await facteur.send(message);
  expect(answer).toMatchObject({ status: 202, body: { ...run, duplicate: true, status: 'submitted' } });
  expect(await facteur.send(asProtobuf(message))).toMatchObject({ status: 202, body: answer.body });
  expect(await runOf(db, 'go-delivery-7b')).toBeUndefined();
  expect(created(facteur.cluster)).toEqual([]);
  expect(await goRows(db)).toEqual(before);
});

test('taking over a run of the Go service keeps the rows that belong to it', async () => {
  await makeGoDatabase(db, 3);
  const before = await goRows(db);
  const facteur = await startFacteur({ db });
  const { body } = await facteur.send(codexTask({ deliveryId: 'go-delivery-7' }));
  expect(body).toMatchObject({ runId: 'c0000000-0000-4000-8000-000000000002', status: 'submitted' });
  const after = await goRows(db);
  for (const table of ['ideas', 'artifacts', 'reflections', 'policy_checks', 'run_metrics']) {
    expect(after[table]).toEqual(before[table]);
  }
  expect(after['task_runs']).toHaveLength(before['task_runs']?.length ?? 0);
});

test('a new delivery for an issue that the Go service knew uses its rows', async () => {
  await makeGoDatabase(db, 3);
  const before = await goRows(db);
  const facteur = await startFacteur({ db });
  const { body } = await facteur.send(codexTask({ deliveryId: 'fresh', repository: 'acme/rocket', issueNumber: '7' }));
  expect(body).toMatchObject({ duplicate: false, status: 'submitted' });
  const after = await goRows(db);
  const ids = (table: string, rows: typeof before): string[] =>
    (rows[table] ?? []).map((row) => JSON.parse(row).id).toSorted();
  expect(ids('ideas', after)).toEqual(ids('ideas', before));
  expect(ids('tasks', after)).toEqual(ids('tasks', before));
  expect(ids('task_runs', after)).toEqual([...ids('task_runs', before), body.runId].toSorted());
  expect(after['reflections']).toEqual(before['reflections']);
  expect(created(facteur.cluster)).toEqual([body.workflowName]);
});

test('a delivery that the Go service records while facteur runs is a duplicate, too', async () => {
  await makeGoDatabase(db, 3);
  const facteur = await startFacteur({ db });
  await db.query({
    text: `INSERT INTO codex_kb.task_runs (task_id, external_run_id, status, delivery_id)
      SELECT id, 'github-codex-implementation-abcde', 'queued', 'beside' FROM codex_kb.tasks LIMIT 1`,
  });
  const answer = await facteur.send(codexTask({ deliveryId: 'beside' }));
  expect(answer.body).toMatchObject({ duplicate: true, workflowName: 'github-codex-implementation-abcde' });
  expect(created(facteur.cluster)).toEqual([]);
});
