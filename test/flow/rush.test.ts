import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { recordRun } from '../../src/ledger/record-run.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { requests } from '../support/ledger.ts';
import { newRun } from '../support/runs.ts';
import { database, test } from '../support/ledger-fixture.ts';

/** The number of attempts to submit, of all runs. */
async function takenUp(): Promise<number> {
  const { rows } = await database.db.query<{ taken: number }>({
    text: 'SELECT coalesce(sum(attempts), 0)::int AS taken FROM facteur.runs',
  });
  return rows[0]?.taken ?? Number.NaN;
}

const OBJECTIVE = [{ name: 'objective', value: 'x' }];

test('while many people wait for an answer, queued runs are submitted slowly, but they are submitted', async () => {
  const { db } = database;
  let arrived = 0;
  const newId = () => {
    arrived += 1;
    return randomUUID();
  };
  const { discord, facteur } = await openDiscordDoor({ db, context: { newId } });
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  /** The number of attempts before each claim of the submitter. */
  const takenBefore: number[] = [];
  facteur.faults.before = async (statement) => {
    if (statement === 'record-runs') {
      await held;
    } else if (statement === 'claim-due-runs') {
      takenBefore.push(await takenUp());
    }
  };
  arrived = 0;
  const asked = Array.from({ length: 20 }, () => discord.people.command('plan', OBJECTIVE));
  await expect.poll(() => arrived).toBeGreaterThanOrEqual(20);
  for (let index = 0; index < 12; index += 1) {
    await recordRun(db, { run: newRun(), claim: false });
  }
  facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'hang' } });
  await expect
    .poll(async () => {
      await db.query({ text: `SELECT pg_notify('facteur_submit', '')` });
      return takenBefore.at(-1);
    })
    .toBeGreaterThanOrEqual(12);
  // Two at a time. Without a rush, it would claim all twelve at once.
  const steps = takenBefore.map((taken, index) => taken - (takenBefore[index - 1] ?? 0));
  expect(Math.max(...steps)).toBe(2);
  await expect.poll(() => requests(facteur.cluster, 'create')).toBeGreaterThanOrEqual(12);
  letGo();
  await Promise.all(asked);
});
