import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import type { Json } from '../support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { emptyLedger } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { forceState, newRun } from '../support/runs.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(db));

const lines = (stdout: string): Json[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

/** Runs accepted a second apart, but for two that were accepted in the same instant. */
async function recordSeven(): Promise<string[]> {
  const ids = Array.from({ length: 7 }, (_, index) => `d${index}`);
  for (const [index, deliveryId] of ids.entries()) {
    const acceptedAt = new Date(Date.UTC(2026, 0, 1, 0, 0, index === 3 ? 2 : index));
    const command = index % 2 === 0 ? 'plan' : 'review';
    await recordRun(db, { run: newRun({ deliveryId, acceptedAt, command, userId: `user-${index % 3}` }), claim: true });
  }
  return ids;
}

test('list shows the newest first, and pages neither repeat nor leave out any', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  expect((await facteur.cli('runs', 'list')).stdout).toBe('no runs\n');
  const ids = await recordSeven();
  const all = lines((await facteur.cli('runs', 'list', '--json')).stdout);
  expect(all.map(({ deliveryId }) => deliveryId).toSorted()).toEqual(ids);
  expect(all.map(({ acceptedAt }) => acceptedAt)).toEqual(
    all
      .map(({ acceptedAt }) => acceptedAt)
      .toSorted()
      .toReversed(),
  );
  const paged: Json[] = [];
  for (let page = lines((await facteur.cli('runs', 'list', '--json', '--limit', '3')).stdout); page.length > 0;) {
    paged.push(...page);
    const before = paged.at(-1)?.runId;
    page = lines((await facteur.cli('runs', 'list', '--json', '--limit', '3', '--before', before)).stdout);
  }
  expect(paged).toEqual(all);
});

test('list filters by state, command and user', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  await recordSeven();
  const { rows } = await db.query<{ run_id: string }>({
    text: `SELECT run_id FROM facteur.runs WHERE delivery_id = 'd4'`,
  });
  await forceState(db, rows[0]?.run_id ?? '', 'failed');
  const listed = async (...args: string[]): Promise<string[]> =>
    lines((await facteur.cli('runs', 'list', '--json', ...args)).stdout).map(({ deliveryId }) => deliveryId);
  expect(await listed('--state', 'failed,lost')).toEqual(['d4']);
  expect(await listed('--command', 'review')).toEqual(['d5', 'd3', 'd1']);
  expect(await listed('--user', 'user-1', '--state', 'queued')).toEqual(['d1']);
  expect(await listed('--state', 'succeeded')).toEqual([]);
});

test('a table for a person has one line a run and no control characters', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  await recordRun(db, { run: newRun({ deliveryId: 'd\u001b[2J', command: 'evil\u202e\n' }), claim: true });
  const { stdout } = await facteur.cli('runs', 'list');
  expect(stdout.split('\n')).toHaveLength(3);
  expect(stdout).toContain(String.raw`evil\u202e\u000a`);
  const shown = (await facteur.cli('runs', 'show', 'd\u001b[2J')).stdout;
  expect(shown).toContain(String.raw`d\u001b[2J`);
  expect(stdout + shown).not.toMatch(/[\u001b\u202e]/);
});

test('show finds a run by its id, its delivery and its workflow, and tells what happened', async () => {
  const facteur = await startFacteur({ db });
  const { body } = await facteur.send(event({ interactionId: 'd1', user: { id: '42' } }));
  const shown = await Promise.all(
    [body.runId, 'd1', body.workflowName].map((reference) => facteur.cli('runs', 'show', reference, '--json')),
  );
  expect(new Set(shown.map(({ stdout }) => stdout)).size).toBe(1);
  const run = JSON.parse(shown[0]?.stdout ?? '');
  expect(run).toMatchObject({ runId: body.runId, deliveryId: 'd1', state: 'submitted', userId: '42', attempts: 1 });
  expect(run.events.map(({ type, payload }: Json) => [type, payload.to])).toEqual([
    ['state.change', 'queued'],
    ['state.change', 'submitted'],
  ]);
  const { stdout } = await facteur.cli('runs', 'show', 'd1');
  expect(stdout).toMatch(/workflowName: +plan-/);
});

test('wrong usage is told from what does not exist', async () => {
  const facteur = await startFacteur({ db, roles: [] });
  expect(await facteur.cli('runs', 'show', 'no\u001bbody')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'facteur: there is no run no\\u001bbody\n',
  });
  for (const args of [
    ['runs', 'list', '--state', 'paused'],
    ['runs', 'list', '--limit', '0'],
    ['runs', 'list', '--limit', 'many'],
    ['runs', 'list', '--colour'],
    ['runs', 'show'],
    ['runs', 'stop', 'd1'],
    ['runs', 'show', 'a', 'b'],
  ]) {
    const { code, stderr } = await facteur.cli(...args);
    expect({ args, code, said: stderr.length > 0 }).toEqual({ args, code: 2, said: true });
  }
  expect((await facteur.cli('runs', 'list', '--before', 'nobody')).code).toBe(1);
});
