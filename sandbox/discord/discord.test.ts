import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startDiscordWorld, type DiscordWorld } from '../../test/support/discord.ts';
import type { SimulatedDiscord } from './discord.ts';

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
const channelMessages = () => `/channels/${discord.channelId}/messages`;

describe('messages by the bot', () => {
  test('are posted once per nonce, can be edited, and are unknown after deletion', async () => {
    const body = { content: 'hello', nonce: 'n1', enforce_nonce: true };
    const first = await call('POST', channelMessages(), body);
    const again = await call('POST', channelMessages(), body);
    expect(again.body.id).toBe(first.body.id);
    const path = `${channelMessages()}/${first.body.id}`;
    expect(await call('PATCH', path, { content: 'changed' })).toMatchObject({
      status: 200,
      body: { content: 'changed' },
    });
    expect((await call('DELETE', path)).status).toBe(204);
    expect(await call('PATCH', path, { content: 'x' })).toMatchObject({ status: 404, body: { code: 10_008 } });
  });

  test('an ephemeral answer is unknown to the bot, and can only be edited with the token', async () => {
    world.endpoint.reply = { status: 200, body: { type: 5, data: { flags: 64 } } };
    const { messageId } = await discord.people.command('plan');
    expect(await call('PATCH', `${channelMessages()}/${messageId}`, { content: 'x' })).toMatchObject({
      status: 404,
      body: { code: 10_008 },
    });
    expect(await call('PATCH', original(world.tokenOf()), { content: 'x' })).toMatchObject({
      status: 200,
      body: { flags: 64 },
    });
  });

  test.each([
    [{ view: false }, 403, 50_001],
    [{ send: false }, 403, 50_013],
    [{ locked: true }, 400, 50_083],
  ])('are refused in a channel with %j', async (rights, status, code) => {
    await discord.faults.apply({ op: 'channel', id: discord.channelId, rights });
    expect(await call('POST', channelMessages(), { content: 'x' })).toMatchObject({ status, body: { code } });
  });

  test('limits edits of old messages', async () => {
    const { body } = await call('POST', channelMessages(), { content: 'x' });
    world.clock.ms += 60 * 60 * 1000 + 1;
    const statuses = [];
    for (let edit = 0; edit < 4; edit += 1) {
      statuses.push(await call('PATCH', `${channelMessages()}/${body.id}`, { content: String(edit) }));
    }
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(statuses[3]?.body).toMatchObject({ code: 30_046, retry_after: 20, global: false });
    expect(statuses[3]?.headers.get('retry-after')).toBe('20');
  });

  test('pings are the mentions outside code that allowed_mentions allows', async () => {
    const content = '@everyone <@1> `<@2>` <@&3>';
    await call('POST', channelMessages(), { content });
    await call('POST', channelMessages(), { content, allowed_mentions: { parse: [] } });
    expect(discord.messages().map(({ versions }) => versions[0]?.pings)).toEqual([['@everyone', '<@1>', '<@&3>'], []]);
  });
});

describe('rate limits', () => {
  test('each channel has its own, shown in headers before it is reached and in a 429 afterwards', async () => {
    await discord.faults.apply({ op: 'channel', id: '5' });
    const answers = [];
    for (let count = 0; count < 6; count += 1) {
      answers.push(await call('POST', channelMessages(), { content: String(count) }));
    }
    expect(answers.map(({ headers }) => headers.get('x-ratelimit-remaining'))).toEqual(['4', '3', '2', '1', '0', '0']);
    const limited = answers[5]!;
    expect(limited).toMatchObject({ status: 429, body: { retry_after: 5, global: false } });
    expect(limited.body).not.toHaveProperty('code');
    expect(limited.headers.get('x-ratelimit-scope')).toBe('user');
    expect((await call('POST', '/channels/5/messages', { content: 'x' })).status).toBe(200);
    world.clock.ms += 5000;
    expect((await call('POST', channelMessages(), { content: 'x' })).status).toBe(200);
  });

  test('the bot has a global limit of fifty per second, without interaction answers', async () => {
    await discord.people.command('plan');
    const statuses = [];
    for (let count = 0; count < 51; count += 1) {
      statuses.push(await call('GET', `/channels/${discord.channelId}/messages/${count}`));
    }
    expect(statuses[50]).toMatchObject({ status: 429, body: { global: true } });
    expect(statuses[50]?.headers.get('x-ratelimit-global')).toBe('true');
    expect((await call('PATCH', original(world.tokenOf()), { content: 'x' })).status).toBe(200);
  });
});

describe('faults', () => {
  test('a refused request is not executed, a request with a lost answer is', async () => {
    const rule = (action: object) => ({ op: 'add', rule: { route: 'channel.', times: 1, action } }) as never;
    await discord.faults.apply(rule({ kind: 'answer', answer: { status: 503 } }));
    expect(await call('POST', channelMessages(), { content: 'a' })).toMatchObject({ status: 503 });
    await discord.faults.apply(rule({ kind: 'answer', answer: { status: 429, retryAfterMs: 1500, scope: 'global' } }));
    expect(await call('POST', channelMessages(), { content: 'a' })).toMatchObject({
      status: 429,
      body: { retry_after: 1.5, global: true },
    });
    await discord.faults.apply(rule({ kind: 'reset' }));
    await expect(call('POST', channelMessages(), { content: 'a' })).rejects.toThrow('fetch failed');
    expect(discord.messages()).toHaveLength(0);
    await discord.faults.apply(rule({ kind: 'commit-then-reset' }));
    await expect(call('POST', channelMessages(), { content: 'a' })).rejects.toThrow('fetch failed');
    expect(discord.messages()).toHaveLength(1);
    expect(discord.faults.requests.list()).toEqual([]);
  });

  test('another process can control it over HTTP', async () => {
    const base = discord.apiBaseUrl.replace(/\/api$/, '/__sim');
    const control = (command: object) => fetch(`${base}/control`, { method: 'POST', body: JSON.stringify(command) });
    const exchange = await (await control({ op: 'command', name: 'plan' })).json();
    expect(exchange).toMatchObject({ outcome: 'acknowledged' });
    const read = async (path: string) => (await (await fetch(`${base}/${path}`)).json()) as Record<string, unknown>;
    expect(await read(`messages?channel=${discord.channelId}`)).toMatchObject({
      messages: [{ versions: [{ loading: true }] }],
    });
    expect((await read('history'))['entries']).toMatchObject([
      { seq: 1, kind: 'interaction.sent' },
      { seq: 2, kind: 'message.created' },
      { seq: 3, kind: 'interaction.acknowledged' },
    ]);
    expect((await read('state'))['identity']).toMatchObject({ publicKey: discord.publicKey });
    const said = JSON.stringify([exchange, await read('history'), await read('messages')]);
    expect(said).not.toContain(world.tokenOf());
  });

  test('disconnects, and reconnects on the same port', async () => {
    await discord.disconnect();
    await expect(call('GET', '/users/@me')).rejects.toThrow('fetch failed');
    await discord.reconnect();
    expect((await call('GET', '/users/@me')).status).toBe(200);
  });
});
