import { createPublicKey, verify } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startDiscordWorld, type DiscordWorld } from '../../test/support/discord.ts';
import { TurnableTimer } from '../../test/support/turnable-timer.ts';
import type { SimulatedDiscord } from './discord.ts';
import { snowflakeTime } from '../../src/domain/snowflake.ts';

let world: DiscordWorld;
let discord: SimulatedDiscord;
let call: DiscordWorld['call'];

beforeEach(async () => {
  world = await startDiscordWorld();
  ({ discord, call } = world);
});

afterEach(async () => {
  await world.close();
});

const original = (token: string) => `/webhooks/${discord.applicationId}/${token}/messages/@original`;

describe('interactions', () => {
  test('a command arrives signed, with its options nested and the member’s roles', async () => {
    const exchange = await discord.people.command(
      'plan',
      [
        {
          name: 'sub',
          options: [
            { name: 'objective', value: 'x' },
            { name: 'count', value: 3 },
          ],
        },
      ],
      { roles: ['1'] },
    );
    const { headers, body } = world.received[0]!;
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(discord.publicKey, 'hex').toString('base64url') },
      format: 'jwk',
    });
    const signed = Buffer.from(`${String(headers['x-signature-timestamp'])}${body}`);
    expect(verify(null, signed, key, Buffer.from(String(headers['x-signature-ed25519']), 'hex'))).toBe(true);
    const payload = JSON.parse(body);
    expect(payload).toMatchObject({
      type: 2,
      application_id: discord.applicationId,
      data: {
        name: 'plan',
        options: [
          {
            name: 'sub',
            type: 1,
            options: [
              { name: 'objective', type: 3, value: 'x' },
              { name: 'count', type: 4, value: 3 },
            ],
          },
        ],
      },
      member: { user: { username: 'ada' }, roles: ['1'] },
    });
    expect(snowflakeTime(payload.id)).toBe(world.clock.ms);
    expect(exchange).toMatchObject({ outcome: 'acknowledged', status: 200 });
  });

  test('a direct message has a user and no member', async () => {
    await discord.people.command('plan', [], { guildId: '' });
    const payload = JSON.parse(world.received[0]!.body);
    expect(payload.user.username).toBe('ada');
    expect(payload).not.toHaveProperty('member');
  });

  test('a deferred answer creates a loading message, which the token can edit', async () => {
    const { messageId } = await discord.people.command('plan');
    expect(discord.messages()).toMatchObject([{ id: messageId, ephemeral: false, versions: [{ loading: true }] }]);
    expect(await call('GET', original(world.tokenOf()))).toMatchObject({ status: 200, body: { flags: 128 } });
    const edited = await call('PATCH', original(world.tokenOf()), { content: 'done' });
    expect(edited).toMatchObject({ status: 200, body: { id: messageId, content: 'done', flags: 0 } });
    expect(discord.messages()[0]?.versions.map(({ content }) => content)).toEqual(['', 'done']);
  });

  test('before the answer there is no webhook, and a second callback is refused', async () => {
    const { promise: after, resolve: release } = Promise.withResolvers<void>();
    world.endpoint.reply = { status: 202, body: {}, after };
    const pending = discord.people.command('plan');
    await expect.poll(() => world.received.length).toBe(1);
    const { id, token } = JSON.parse(world.received[0]!.body);
    const noWebhook = { status: 404, body: { code: 10_015 } };
    expect(await call('PATCH', original(token), { content: 'x' })).toMatchObject(noWebhook);
    const callback = `/interactions/${id}/${token}/callback`;
    expect(await call('POST', callback, { type: 5 })).toMatchObject({ status: 204 });
    const twice = { status: 400, body: { code: 40_060 } };
    expect(await call('POST', callback, { type: 5 })).toMatchObject(twice);
    release();
    expect(await pending).toMatchObject({ outcome: 'acknowledged' });
  });

  test('a late answer fails: the user sees a failure, and the token is invalid', async () => {
    const timer = new TurnableTimer();
    const hasty = await startDiscordWorld({ timer });
    const { promise: after, resolve: release } = Promise.withResolvers<void>();
    hasty.endpoint.reply = { status: 200, body: { type: 5 }, after };
    const pending = hasty.discord.people.command('plan');
    await expect.poll(() => hasty.received.length).toBe(1);
    await timer.pass(3000);
    expect(await pending).toMatchObject({ outcome: 'late', messageId: '', milliseconds: 3000 });
    release();
    const { id, token } = JSON.parse(hasty.received[0]!.body);
    const noWebhook = { status: 404, body: { code: 10_015 } };
    expect(await hasty.call('PATCH', original(token), { content: 'x' })).toMatchObject(noWebhook);
    const unknown = { status: 404, body: { code: 10_062 } };
    expect(await hasty.call('POST', `/interactions/${id}/${token}/callback`, { type: 5 })).toMatchObject(unknown);
    expect(hasty.discord.history.entries.map(({ kind }) => kind)).toEqual([
      'interaction.sent',
      'interaction.failed',
      'request.refused',
      'request.refused',
    ]);
    await hasty.close();
  });

  test('a token expires after 15 minutes, and an unknown token is invalid', async () => {
    await discord.people.command('plan');
    world.clock.ms += 15 * 60 * 1000;
    expect((await call('PATCH', original(world.tokenOf()), { content: 'x' })).status).toBe(200);
    world.clock.ms += 1;
    const expired = { status: 401, body: { code: 50_027, message: 'Invalid Webhook Token' } };
    expect(await call('PATCH', original(world.tokenOf()), { content: 'x' })).toMatchObject(expired);
    expect(await call('PATCH', original('nonsense'), { content: 'x' })).toMatchObject(expired);
  });

  test.each<[string, unknown, string]>([
    ['an empty form', { type: 9, data: { title: 't', custom_id: 'c', components: [] } }, 'components'],
    ['a long message', { type: 4, data: { content: 'x'.repeat(2001) } }, 'content'],
    ['the wrong kind', { type: 8 }, 'type'],
    ['not an object', ['x'], 'JSON object'],
  ])('an invalid answer fails the interaction: %s', async (_, body, problem) => {
    world.endpoint.reply = { status: 200, body };
    const exchange = await discord.people.command('plan');
    expect(exchange.outcome).toBe('refused');
    expect(exchange.problem).toContain(problem);
  });

  test('handles buttons, forms and suggestions', async () => {
    const button = { type: 2, style: 2, label: 'Cancel', custom_id: 'cancel' };
    world.endpoint.reply = {
      status: 200,
      body: { type: 4, data: { content: 'x', components: [{ type: 1, components: [button] }] } },
    };
    await discord.people.command('plan');
    const [message] = discord.messages();
    world.endpoint.reply = { status: 200, body: { type: 7, data: { content: 'canceled', components: [] } } };
    expect(await discord.people.press(message!, 'cancel')).toMatchObject({
      outcome: 'acknowledged',
      messageId: message!.id,
    });
    expect(JSON.parse(world.received[1]!.body)).toMatchObject({
      type: 3,
      data: { custom_id: 'cancel' },
      message: { id: message!.id },
    });
    expect(discord.messages()[0]?.versions.at(-1)).toMatchObject({ content: 'canceled', components: [] });
    expect(() => discord.people.press(message!, 'other')).toThrow('no button');

    world.endpoint.reply = { status: 200, body: { type: 5 } };
    await discord.people.submit('plan', { content: 'text' }, { shape: 'rows' });
    await discord.people.submit('plan', { content: 'text' });
    const shapes = world.received.slice(2).map(({ body }) => JSON.parse(body).data.components[0]);
    expect(shapes).toMatchObject([
      { type: 1, components: [{ custom_id: 'content', value: 'text' }] },
      { type: 18, component: { custom_id: 'content', value: 'text' } },
    ]);

    world.endpoint.reply = { status: 200, body: { type: 8, data: { choices: [{ name: 'a', value: 'a' }] } } };
    expect(await discord.people.type('plan', [{ name: 'project', value: 'a', focused: true }])).toMatchObject({
      outcome: 'acknowledged',
    });
  });

  test('the portal’s check needs a pong and a refusal of a forged request', async () => {
    world.endpoint.reply = { status: 200, body: { type: 1 } };
    await expect(discord.people.saveEndpoint(world.endpoint.url)).rejects.toThrow('a forged one got 200');
  });

  test('repeating a request creates no second message', async () => {
    const first = await discord.people.command('plan');
    expect(await discord.people.again(first)).toMatchObject({ outcome: 'acknowledged', messageId: first.messageId });
    expect(world.received[1]?.body).toBe(world.received[0]?.body);
    expect(discord.messages()).toHaveLength(1);
  });
});
