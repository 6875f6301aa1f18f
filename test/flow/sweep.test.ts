import { expect, onTestFinished } from 'vitest';
import { recordRun } from '../../src/ledger/record-run.ts';
import { startSimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { Role } from '../../src/service/roles.ts';
import { startCluster } from '../support/cluster.ts';
import { discordEnv } from '../support/discord-door.ts';
import { startFacteur } from '../support/facteur.ts';
import { firstSweepOnly } from '../support/faulty-database.ts';
import { created, expectRun } from '../support/ledger.ts';
import { newRun } from '../support/runs.ts';
import { database, test } from '../support/ledger-fixture.ts';

// Work that a dead process had claimed is taken over when the claim expires, without a notification.

const TOPOLOGIES: readonly [readonly Role[]][] = [[['submit']], [['submit', 'follow']]];

test.each(TOPOLOGIES)('a run, by a process with the roles %j', async (roles) => {
  const { db } = database;
  const cluster = await startCluster();
  const { deliveryId, workflowName } = await recordRun(db, { run: newRun(), claim: true });
  await db.query({ text: `UPDATE facteur.open_runs SET due_at = now() + interval '2 seconds'` });
  await startFacteur({ db, cluster, roles });
  await expectRun(db, deliveryId, 'submitted');
  expect(created(cluster)).toEqual([workflowName]);
});

test('each of several runs when its own claim expires, not at the next sweep', async () => {
  const { db } = database;
  const cluster = await startCluster();
  const first = await recordRun(db, { run: newRun(), claim: true });
  const second = await recordRun(db, { run: newRun(), claim: true });
  for (const [{ runId }, seconds] of [
    [first, 1],
    [second, 3],
  ] as const) {
    const text = 'UPDATE facteur.open_runs SET due_at = now() + make_interval(secs => $2) WHERE run_id = $1';
    await db.query({ text, values: [runId, seconds] });
  }
  await startFacteur({ db, cluster, roles: ['submit'], faults: { before: firstSweepOnly() } });
  await expectRun(db, second.deliveryId, 'submitted');
  expect(created(cluster)).toEqual([first.workflowName, second.workflowName]);
});

test('the queues are checked even if the lease does not answer', async () => {
  const { db } = database;
  const held = Promise.withResolvers<void>();
  const asked: string[] = [];
  const before = (statement: string) => {
    asked.push(statement);
    return statement === 'claim-lease' ? held.promise : undefined;
  };
  await startFacteur({ db, roles: ['submit', 'follow'], faults: { before } });
  onTestFinished(() => held.resolve());
  await expect.poll(() => asked).toEqual(expect.arrayContaining(['claim-lease', 'due-work']));
});

test('a message, if there is nothing else to do', async () => {
  const { db } = database;
  const discord = await startSimulatedDiscord();
  onTestFinished(() => discord.close());
  const message = { interactionId: '1300000000000000001', ephemeral: false };
  await recordRun(db, { run: newRun({ state: 'skipped', channelId: discord.channelId, message }), claim: false });
  await db.query({ text: `UPDATE facteur.messages SET due_at = now() + interval '2 seconds'` });
  // The first claims of the notifier itself fail, so it knows of no messages.
  let looks = 0;
  const onlyFirst = firstSweepOnly();
  const before = (statement: string) => {
    looks += statement === 'claim-due-messages' ? 1 : 0;
    return statement === 'claim-due-messages' && looks <= 2
      ? Promise.reject(new Error('cut by the test'))
      : onlyFirst(statement);
  };
  await startFacteur({ db, env: discordEnv(discord), roles: ['notify'], faults: { before } });
  const claims = async () => (await db.query({ text: 'SELECT claims FROM facteur.messages' })).rows[0]?.['claims'];
  await expect.poll(claims).toBeGreaterThan(0);
});
