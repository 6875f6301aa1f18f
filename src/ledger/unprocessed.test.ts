import { expect, onTestFinished } from 'vitest';
import type { Database } from '../clients/postgres/database.ts';
import { ownConnection, rowsRead, test } from '../../test/support/ledger-fixture.ts';
import { readBacklog } from './due-work.ts';
import { listDeadLetters, listRefusals } from './unprocessed.ts';

/** A connection whose reads are counted. */
async function counted(): Promise<Database> {
  const own = await ownConnection();
  onTestFinished(own.close);
  return own.db;
}

test('listing and counting open dead letters does not read settled ones', async () => {
  const db = await counted();
  await db.query({
    text: `INSERT INTO facteur.dead_letters (door, reason, body, settled_at, outcome)
      SELECT 'http', 'x', '', CASE WHEN n < 5000 THEN now() END, CASE WHEN n < 5000 THEN 'dropped' ELSE '' END
      FROM generate_series(1, 5001) n`,
  });
  await db.query({ text: 'ANALYZE facteur.dead_letters' });
  const before = await rowsRead(db, 'facteur.dead_letters');
  expect(await readBacklog(db)).toMatchObject({ deadLetters: 2 });
  expect(await listDeadLetters(db, 50)).toHaveLength(2);
  expect((await rowsRead(db, 'facteur.dead_letters')) - before).toBeLessThan(100);
});

test('a search for few refusals reads few rows', async () => {
  const db = await counted();
  await db.query({
    text: `INSERT INTO facteur.refusals (door, delivery_id, command, user_id, reason)
      SELECT 'http', n::text, CASE n WHEN 1 THEN 'rare' ELSE 'plan' END, CASE n WHEN 2 THEN 'ada' ELSE 'eve' END, 'x'
      FROM generate_series(1, 5000) n`,
  });
  await db.query({ text: 'ANALYZE facteur.refusals' });
  for (const filter of [
    { command: 'rare' },
    { userId: 'ada' },
    { command: 'rare', userId: 'ada' },
    { userId: 'bob' },
  ]) {
    const before = await rowsRead(db, 'facteur.refusals');
    await listRefusals(db, { limit: 50, ...filter });
    expect((await rowsRead(db, 'facteur.refusals')) - before).toBeLessThan(100);
  }
});
