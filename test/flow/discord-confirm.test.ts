import { expect } from 'vitest';
import type { Exchange, Who } from '../../sandbox/discord/people.ts';
import { startCluster, type Json } from '../support/cluster.ts';
import { openDiscordDoor, OTHER_ROLE, ROLE, whispered } from '../support/discord-door.ts';
import { countRuns, created, expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { buttonsOf } from '../support/review.ts';

const ADA: Who = { id: '200000000000000001', username: 'ada', roles: [ROLE] };
const BOB: Who = { id: '200000000000000002', username: 'bob', roles: [OTHER_ROLE] };

const YAML = (confirm: boolean) => `role_map: { deploy: ['${ROLE}'] }
commands:
  deploy:
    description: Deploy
    confirm: ${confirm}
    options: [{ name: where, description: Where, required: true }]
`;

/** Somebody has run `/deploy staging`, which succeeded. */
async function deployed(confirm: boolean) {
  const cluster = await startCluster({
    defaults: { outcome: 'succeed', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 },
  });
  const door = await openDiscordDoor({
    db,
    cluster,
    yaml: YAML(confirm),
    roles: ['http', 'submit', 'follow', 'notify'],
  });
  const { people } = door.discord;
  const { interactionId } = await people.command('deploy', [{ name: 'where', value: 'staging' }], ADA);
  const { run_id: runId } = await expectRun(db, interactionId, 'succeeded');
  const answerTo = (exchange: Pick<Exchange, 'interactionId'>) =>
    door.discord.messages().find((message) => message.interactionId === exchange.interactionId);
  await expect.poll(() => buttonsOf(answerTo({ interactionId }))).toHaveProperty('Run again');
  return {
    ...door,
    runId,
    answerTo,
    again: (who: Who = ADA) => people.press(answerTo({ interactionId })!, `facteur:again:${runId}`, who),
    confirm: (question: Exchange, who: Who = ADA) => people.press(answerTo(question)!, `facteur:confirm:${runId}`, who),
  };
}

test('Run again asks for confirmation, and only the second press starts a run, once', async () => {
  const run = await deployed(true);
  const question = await run.again();
  expect(whispered(question)).toMatch(/^Run `\/deploy staging` again\? The last run ended <t:\d+:R> \(succeeded\)\.$/);
  expect(buttonsOf(run.answerTo(question))).toEqual({ 'Yes, run again': `facteur:confirm:${run.runId}` });
  expect(await countRuns(db)).toBe(1);

  const [one, other] = await Promise.all([run.confirm(question), run.confirm(question)]);
  const [deferred, told] = (one.answer as Json).type === 5 ? [one, other] : [other, one];
  const second = await expectRun(db, `retry:${run.runId}`, 'succeeded');
  expect(second).toMatchObject({ retry_of: run.runId, user_id: ADA.id });
  expect(whispered(told)).toContain(second.workflow_name);
  expect(created(run.facteur.cluster)).toHaveLength(2);
  await expect.poll(() => run.answerTo(deferred)?.versions.at(-1)?.content).toContain('**Succeeded**');
  expect(run.answerTo(deferred)?.ephemeral).toBe(false);
  // The old question no longer starts anything, and a redelivered press gets the same answer.
  expect(whispered(await run.confirm(question))).toContain('was already retried');
  expect((await run.discord.people.again(deferred)).answer).toEqual(deferred.answer);
  expect(await countRuns(db)).toBe(2);
});

test('a command without confirmation runs again at the first press', async () => {
  const run = await deployed(false);
  expect((await run.again()).answer).toMatchObject({ type: 5 });
  await expectRun(db, `retry:${run.runId}`, 'succeeded');
});

test('the second press checks permission, too, and each refusal is recorded', async () => {
  const run = await deployed(true);
  expect(whispered(await run.again(BOB))).toContain('You may not use `/deploy`');
  const question = await run.again();
  // The role may have been removed since, and somebody who was never asked may send the id.
  expect(whispered(await run.confirm(question, { ...ADA, roles: [] }))).toContain('You may not use `/deploy`');
  expect(whispered(await run.confirm(question, BOB))).toContain('You may not use `/deploy`');
  const { rows } = await db.query({ text: 'SELECT user_id FROM facteur.refusals ORDER BY id' });
  expect(rows).toEqual([{ user_id: BOB.id }, { user_id: ADA.id }, { user_id: BOB.id }]);
  expect(await countRuns(db)).toBe(1);
});

test('a confirmation for a run that was archived in the meantime is answered and starts nothing', async () => {
  const run = await deployed(true);
  const question = await run.again();
  await db.query({ text: 'UPDATE facteur.runs SET plan = NULL WHERE run_id = $1', values: [run.runId] });
  expect(whispered(await run.confirm(question))).toContain('no longer has a record of this run');
  expect(await countRuns(db)).toBe(1);
});
