import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { recordRun } from '../../src/ledger/record-run.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { emptyLedger, requests } from '../support/ledger.ts';
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
  let arrived = 0;
  const newId = () => {
    arrived += 1;
    return randomUUID();
  };
  const { discord, facteur } = await openDiscordDoor({ db, context: { newId } });
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  facteur.faults.before = (statement) => (statement === 'record-runs' ? held : undefined);
  arrived = 0;
  const asked = Array.from({ length: 20 }, () => discord.people.command('plan', OBJECTIVE));
  await expect.poll(() => arrived).toBeGreaterThanOrEqual(20);
  for (let index = 0; index < 12; index += 1) {
    await recordRun(db, { run: newRun(), claim: false });
  }
  facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'hang' } });
  const asks = () => requests(facteur.cluster, 'create');
  await db.query({ text: `SELECT pg_notify('facteur_submit', '')` });
  await expect.poll(asks, { interval: 1 }).toBeGreaterThan(0);
  const from = performance.now();
  // Two at a time, a tenth of a second apart: without a rush all twelve would be asked for at once.
  await expect.poll(asks, { interval: 1 }).toBeGreaterThan(6);
  expect(performance.now() - from).toBeGreaterThan(200);
  letGo();
  await Promise.all(asked);
  await expect.poll(asks).toBeGreaterThanOrEqual(12);
});
