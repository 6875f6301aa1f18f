import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { openDiscordDoor, ROLE } from '../support/discord-door.ts';
import { unavailable } from '../support/faulty-database.ts';
import { expectRun, wholeLedger } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

const CANARY = 'CanaryTokenThatLooksLikeNothingInParticular';
const BOT = 'CanaryBotToken.abc.def';

test('no row, log line or answer contains the token of an interaction or of the bot', async () => {
  const yaml = `
role_map: { review: ['${ROLE}'] }
commands:
  ask: { description: Ask, modal: { title: Ask, fields: [{ name: content, label: What }] } }
`;
  const env = { FACTEUR_DISCORD_BOT_TOKEN: BOT };
  const door = await openDiscordDoor({ db, yaml, env, roles: ['http', 'submit', 'notify'] });
  const { discord, facteur } = door;
  const answers: string[] = [];
  let next = 0;
  const send = async (type: number, data: object): Promise<string> => {
    next += 1;
    const id = String(1_190_000_000_000_000_000n + BigInt(next));
    const user = { id: '200000000000000001', username: 'ada' };
    const body = JSON.stringify({
      type,
      id,
      token: CANARY,
      guild_id: discord.guildId,
      channel_id: discord.channelId,
      member: { user, roles: [] },
      data,
    });
    const timestamp = String(Math.floor(Date.now() / 1000));
    const response = await fetch(`${facteur.url}/discord/interactions`, {
      method: 'POST',
      body,
      headers: { 'x-signature-timestamp': timestamp, 'x-signature-ed25519': discord.signer.sign(timestamp, body) },
    });
    answers.push(await response.text());
    return id;
  };
  const objective = [{ name: 'objective', type: 3, value: 'x' }];
  const submitted = await send(2, { name: 'plan', type: 1, options: objective });
  const { run_id: runId } = await expectRun(db, submitted, 'submitted');
  await send(2, { name: 'plan', type: 1 });
  await send(2, { name: 'review', type: 1 });
  await send(2, { name: 'status', type: 1 });
  await send(2, { name: 'ask', type: 1 });
  await send(2, { name: '\0', type: 1 });
  await send(5, {
    custom_id: 'facteur:modal:ask',
    components: [{ component: { custom_id: 'content', value: 'Do it.' } }],
  });
  await send(3, { custom_id: `facteur:cancel:${runId}` });
  await send(3, { custom_id: `facteur:retry:${runId}` });
  await send(3, { custom_id: `facteur:logs:${randomUUID()}` });
  await send(4, { name: 'plan', type: 1, options: objective });
  await send(99, {});
  facteur.faults.before = unavailable;
  await send(2, { name: 'plan', type: 1, options: objective });
  facteur.faults.before = () => {
    throw new Error('not a typed error');
  };
  await send(2, { name: 'plan', type: 1, options: objective });
  facteur.faults.before = () => undefined;
  // The notifier has tried with a token that this Discord does not know and a bot that it rejects.
  const asked = () => Object.keys(discord.state()['requests'] as Record<string, number>);
  await expect.poll(asked).toEqual(expect.arrayContaining([expect.stringContaining('webhook')]));
  expect(answers).toHaveLength(14);
  const everything = {
    ledger: await wholeLedger(db),
    log: facteur.log.join('\n'),
    answers: answers.join('\n'),
    messages: JSON.stringify(discord.messages()),
  };
  expect(Object.entries(everything).filter(([, text]) => text.includes('Canary'))).toEqual([]);
});
