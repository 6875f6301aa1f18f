import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { recordRun } from '../../src/ledger/record-run.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { created, emptyLedger } from '../support/ledger.ts';
import { newRun } from '../support/runs.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(database.db));

const OBJECTIVE = [{ name: 'objective', value: 'x' }];

test('while many people wait for an answer, what waits in the ledger goes to the cluster slowly, but it goes', async () => {
  const { db } = database;
  const { discord, facteur } = await openDiscordDoor({ db });
  for (let index = 0; index < 12; index += 1) {
    await recordRun(db, { run: newRun(), claim: false });
  }
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  let waiting = 0;
  facteur.faults.before = (statement) => {
    waiting += statement === 'record-runs' ? 1 : 0;
    return statement === 'record-runs' ? held : undefined;
  };
  const asked = Array.from({ length: 20 }, () => discord.people.command('plan', OBJECTIVE));
  await expect.poll(() => waiting).toBe(4);
  await db.query({ text: `SELECT pg_notify('facteur_submit', '')` });
  // Two at a time, a tenth of a second apart: without a rush all twelve would go at once.
  await expect.poll(() => created(facteur.cluster).length, { interval: 1 }).toBe(2);
  const second = performance.now();
  await expect.poll(() => created(facteur.cluster).length, { interval: 1 }).toBe(6);
  expect(performance.now() - second).toBeGreaterThan(150);
  letGo();
  await Promise.all(asked);
  await expect.poll(() => created(facteur.cluster).length).toBeGreaterThanOrEqual(12);
});
