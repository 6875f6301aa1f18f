import { expect } from 'vitest';
import { faultyDatabase, unavailable } from '../../test/support/faulty-database.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { countRuns } from '../../test/support/ledger.ts';
import { newRun } from '../../test/support/runs.ts';
import type { NewRun } from '../domain/run.ts';
import { createConvoy } from './convoy.ts';
import { claimDueRuns } from './submission-queue.ts';

const run = (deliveryId: string, fields: Partial<NewRun> = {}): NewRun => newRun({ deliveryId, ...fields });

/** Records the given runs in order; undefined leaves its place. Returns the outcomes and the number of statements. */
async function travel(runs: readonly (NewRun | undefined)[]) {
  const counted = faultyDatabase(db);
  let statements = 0;
  counted.faults.before = () => void (statements += 1);
  const places = createConvoy(counted, runs.length);
  const recorded = runs.map(async (given, index) => {
    const place = places[index];
    return given === undefined ? place?.leave() : place?.record(given, false);
  });
  const settled = await Promise.allSettled(recorded);
  const outcomes = settled.map((end) =>
    end.status === 'rejected' ? String(end.reason.code) : (end.value?.deliveryId ?? 'left'),
  );
  return { outcomes, statements };
}

test('records all in one statement, in order: their events and claims have the same order', async () => {
  const ids = ['z', 'b', 'y', 'a', 'x'];
  expect(await travel(ids.map((id) => run(id)))).toEqual({ outcomes: ids, statements: 1 });
  const { rows } = await db.query<{ id: string }>({
    text: `SELECT r.delivery_id AS id FROM codex_kb.run_events e JOIN facteur.runs r ON r.run_id = e.task_run_id ORDER BY e.id`,
  });
  expect(rows.map(({ id }) => id)).toEqual(ids);
  const claimed: string[] = [];
  for (let index = 0; index < ids.length; index += 1) {
    const { runs } = await claimDueRuns(db, { limit: 1, maxActive: undefined });
    claimed.push(...runs.map(({ deliveryId }) => deliveryId));
  }
  expect(claimed).toEqual(ids);
});

test('a repeated delivery is a duplicate here too', async () => {
  await travel([run('a')]);
  expect((await travel([run('a'), run('b')])).outcomes).toEqual(['a', 'b']);
  expect(await countRuns(db)).toBe(2);
});

test.each<[string, (NewRun | undefined)[], string[]]>([
  [
    'nothing is recorded after a place that was left',
    [run('a'), undefined, run('b')],
    ['a', 'left', 'ledger.held_back'],
  ],
  ['a second run of a delivery waits', [run('a'), run('a'), run('b')], ['a', 'ledger.held_back', 'ledger.held_back']],
  [
    'one that Postgres cannot store holds all of them back, to be retried alone',
    [run('a'), run('b', { correlationId: 'nul \u0000' })],
    ['ledger.held_back', 'ledger.held_back'],
  ],
])('%s', async (_what, runs, outcomes) => {
  expect((await travel(runs)).outcomes).toEqual(outcomes);
  expect(await countRuns(db)).toBe(outcomes.filter((outcome) => outcome === 'a').length);
});

test('without the database each gets the error', async () => {
  const gone = faultyDatabase(db);
  gone.faults.before = unavailable;
  const [first, second] = createConvoy(gone, 2);
  const both = await Promise.allSettled([first?.record(run('a'), false), second?.record(run('b'), false)]);
  expect(both).toMatchObject([
    { status: 'rejected', reason: { code: 'postgres.unavailable' } },
    { status: 'rejected', reason: { code: 'postgres.unavailable' } },
  ]);
});
