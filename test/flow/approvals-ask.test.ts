import { expect } from 'vitest';
import type { SimulatedMessage } from '../../sandbox/discord/message.ts';
import { ADA, waiting, type Waiting } from '../support/approvals.ts';
import { OTHER_ROLE, ROLE, whispered } from '../support/discord-door.ts';
import { db, test } from '../support/ledger-fixture.ts';

/** The messages that ask: the bot's own, unlike the run's. */
function asks(run: Waiting): readonly SimulatedMessage[] {
  return run.discord.messages().filter(({ interactionId }) => interactionId === '');
}

function pings(message: SimulatedMessage): readonly (readonly string[])[] {
  return message.versions.map(({ pings: pinged }) => pinged);
}

test('approvers are pinged once, in a message of its own with the buttons, which then says who decided', async () => {
  const run = await waiting(db, { rules: { 'approval-message': 'Deploy @everyone?', 'approval-timeout': '2h' } });
  await expect.poll(() => asks(run)).toHaveLength(1);
  const [ask] = asks(run) as [SimulatedMessage];
  expect(ask.versions.at(-1)?.content).toMatch(
    new RegExp(
      `^<@&${ROLE}>\\n⏸️ \`approve\` is waiting for approval · \`/plan\` · for <@200000000000000001> · expires <t:\\d+:R>\\n\`Deploy @everyone\\?\`$`,
    ),
  );
  expect(pings(ask)).toEqual([[`<@&${ROLE}>`]]);
  const pressed = await run.discord.people.press(ask, `facteur:approve:${run.runId}:${run.key}`, ADA);
  expect(whispered(pressed)).toContain('is approved');
  const shown = () => asks(run)[0]?.versions.at(-1);
  await expect.poll(() => shown()?.content).toBe('👍 `approve` approved by `ada`');
  expect(shown()?.components).toEqual([]);
  await expect.poll(run.shown).toContain('Succeeded');
  expect(asks(run)).toHaveLength(1);
  expect(asks(run).flatMap(pings)).toEqual([[`<@&${ROLE}>`], []]);
  expect(pings(run.message()).flat()).toEqual([]);
});

test('the template may name the channel, and a person', async () => {
  const channel = '400000000000000009';
  const run = await waiting(db, {
    channels: [channel],
    rules: { channel, approvers: `user:200000000000000002, ${OTHER_ROLE}` },
  });
  await expect.poll(() => asks(run)).toHaveLength(1);
  expect(asks(run)[0]).toMatchObject({ channelId: channel });
  expect(asks(run).flatMap(pings)).toEqual([['<@200000000000000002>', `<@&${OTHER_ROLE}>`]]);
});

test('where nobody may decide, nobody is asked', async () => {
  const run = await waiting(db, { yaml: 'role_map: {}\n' });
  await expect
    .poll(async () => (await db.query({ text: 'SELECT FROM facteur.approvals WHERE ask_at IS NULL' })).rows)
    .toHaveLength(1);
  expect(asks(run)).toEqual([]);
});

test('a quiet message shows what waits for approval, too', async () => {
  const yaml = `role_map: { plan: ['${ROLE}'] }
commands: { plan: { description: Plan, quiet: true, options: [{ name: objective, description: Goal }] } }
`;
  const run = await waiting(db, { yaml });
  expect(run.shown()).toContain('**Waiting for approval**');
  await run.press('approve', ADA);
  await expect.poll(run.shown).toContain('Succeeded');
});
