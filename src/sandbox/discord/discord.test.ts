import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createPublicKey, verify } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startSimulatedDiscord, type SimulatedDiscord } from './discord.ts';
import { snowflakeTime } from './snowflake.ts';

const EPOCH = Date.parse('2026-11-21T12:00:00Z');

let nowMs = EPOCH;
let discord: SimulatedDiscord;
/** What the endpoint answers, and what it was sent. */
let reply: { status: number; body: unknown; delayMs: number };
let received: { headers: Record<string, unknown>; body: string }[];
let endpoint: Server;

beforeEach(async () => {
  nowMs = EPOCH;
  reply = { status: 200, body: { type: 5 }, delayMs: 0 };
  received = [];
  discord = await startSimulatedDiscord({ clock: { now: () => new Date(nowMs) }, answerMs: 300 });
  endpoint = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      setTimeout(() => response.writeHead(reply.status).end(JSON.stringify(reply.body)), reply.delayMs);
    });
  });
  await new Promise<void>((resolve) => {
    endpoint.listen(0, '127.0.0.1', resolve);
  });
  discord.people.pointAt(`http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/discord/interactions`);
});

afterEach(async () => {
  await discord.close();
  endpoint.closeAllConnections();
  endpoint.close();
});

const UA = 'DiscordBot (https://example.test, 1.0)';

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${discord.apiBaseUrl}/v10${path}`, {
    method,
    headers: {
      authorization: `Bot ${discord.botToken}`,
      'user-agent': UA,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

function tokenOf(index = 0): string {
  return JSON.parse(received[index]!.body).token as string;
}

const original = (token: string) => `/webhooks/${discord.applicationId}/${token}/messages/@original`;
const channelMessages = () => `/channels/${discord.channelId}/messages`;

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
    const { headers, body } = received[0]!;
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
    expect(snowflakeTime(payload.id)).toBe(EPOCH);
    expect(exchange).toMatchObject({ outcome: 'acknowledged', status: 200 });
    expect(exchange.milliseconds).toBeGreaterThan(0);
  });

  test('a direct message has a user and no member', async () => {
    await discord.people.command('plan', [], { guildId: '' });
    const payload = JSON.parse(received[0]!.body);
    expect(payload.user.username).toBe('ada');
    expect(payload).not.toHaveProperty('member');
  });

  test('a deferred answer makes a loading message, which the token then fills', async () => {
    const { messageId } = await discord.people.command('plan');
    expect(discord.messages()).toMatchObject([{ id: messageId, ephemeral: false, versions: [{ loading: true }] }]);
    expect(await call('GET', original(tokenOf()))).toMatchObject({ status: 200, body: { flags: 128 } });
    const edited = await call('PATCH', original(tokenOf()), { content: 'done' });
    expect(edited).toMatchObject({ status: 200, body: { id: messageId, content: 'done', flags: 0 } });
    expect(discord.messages()[0]?.versions.map(({ content }) => content)).toEqual(['', 'done']);
  });

  test('before the answer there is no webhook, and an answer by callback counts once', async () => {
    reply = { status: 202, body: {}, delayMs: 200 };
    const pending = discord.people.command('plan');
    await expect.poll(() => received.length).toBe(1);
    const { id, token } = JSON.parse(received[0]!.body);
    expect(await call('PATCH', original(token), { content: 'x' })).toMatchObject({
      status: 404,
      body: { code: 10_015 },
    });
    expect(await call('POST', `/interactions/${id}/${token}/callback`, { type: 5 })).toMatchObject({ status: 204 });
    expect(await call('POST', `/interactions/${id}/${token}/callback`, { type: 5 })).toMatchObject({
      status: 400,
      body: { code: 40_060 },
    });
    expect(await pending).toMatchObject({ outcome: 'acknowledged' });
  });

  test('too late is never: the person sees a failure and the token opens nothing', async () => {
    reply = { status: 200, body: { type: 5 }, delayMs: 600 };
    expect(await discord.people.command('plan')).toMatchObject({ outcome: 'late', messageId: '' });
    const { id, token } = JSON.parse(received[0]!.body);
    expect(await call('PATCH', original(token), { content: 'x' })).toMatchObject({
      status: 404,
      body: { code: 10_015 },
    });
    expect(await call('POST', `/interactions/${id}/${token}/callback`, { type: 5 })).toMatchObject({
      status: 404,
      body: { code: 10_062 },
    });
    expect(discord.history.entries.at(-2)).toMatchObject({ kind: 'request.refused' });
    expect(discord.history.entries.some(({ kind }) => kind === 'interaction.failed')).toBe(true);
  });

  test('a token lives 15 minutes, and one that never was is invalid at once', async () => {
    await discord.people.command('plan');
    nowMs += 15 * 60 * 1000;
    expect((await call('PATCH', original(tokenOf()), { content: 'x' })).status).toBe(200);
    nowMs += 1;
    const expired = { status: 401, body: { code: 50_027, message: 'Invalid Webhook Token' } };
    expect(await call('PATCH', original(tokenOf()), { content: 'x' })).toMatchObject(expired);
    expect(await call('PATCH', original('nonsense'), { content: 'x' })).toMatchObject(expired);
  });

  test.each([
    [{ type: 9, data: { title: 't', custom_id: 'c', components: [] } }, 'components'],
    [{ type: 4, data: { content: 'x'.repeat(2001) } }, 'content'],
    [{ type: 8 }, 'type'],
    [['not an object'], 'JSON object'],
  ])('an answer that Discord does not take fails the interaction: %j', async (body, problem) => {
    reply = { status: 200, body, delayMs: 0 };
    const exchange = await discord.people.command('plan');
    expect(exchange.outcome).toBe('refused');
    expect(exchange.problem).toContain(problem);
  });

  test('buttons, forms and suggestions', async () => {
    const button = { type: 2, style: 2, label: 'Cancel', custom_id: 'cancel' };
    reply.body = { type: 4, data: { content: 'x', components: [{ type: 1, components: [button] }] } };
    await discord.people.command('plan');
    const [message] = discord.messages();
    reply.body = { type: 7, data: { content: 'canceled', components: [] } };
    expect(await discord.people.press(message!, 'cancel')).toMatchObject({
      outcome: 'acknowledged',
      messageId: message!.id,
    });
    expect(JSON.parse(received[1]!.body)).toMatchObject({
      type: 3,
      data: { custom_id: 'cancel' },
      message: { id: message!.id },
    });
    expect(discord.messages()[0]?.versions.at(-1)).toMatchObject({ content: 'canceled', components: [] });
    expect(() => discord.people.press(message!, 'other')).toThrow('no button');

    reply.body = { type: 5 };
    await discord.people.submit('plan', { content: 'text' }, { shape: 'rows' });
    await discord.people.submit('plan', { content: 'text' });
    const shapes = received.slice(2).map(({ body }) => JSON.parse(body).data.components[0]);
    expect(shapes).toMatchObject([
      { type: 1, components: [{ custom_id: 'content', value: 'text' }] },
      { type: 18, component: { custom_id: 'content', value: 'text' } },
    ]);

    reply.body = { type: 8, data: { choices: [{ name: 'a', value: 'a' }] } };
    expect(await discord.people.type('plan', [{ name: 'project', value: 'a', focused: true }])).toMatchObject({
      outcome: 'acknowledged',
    });
  });

  test('the portal’s check wants a pong and a refusal of a forged request', async () => {
    const url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/`;
    reply.body = { type: 1 };
    await expect(discord.people.saveEndpoint(url)).rejects.toThrow('a forged one got 200');
  });

  test('the same request again changes nothing', async () => {
    const first = await discord.people.command('plan');
    expect(await discord.people.again(first)).toMatchObject({ outcome: 'acknowledged', messageId: first.messageId });
    expect(received[1]?.body).toBe(received[0]?.body);
    expect(discord.messages()).toHaveLength(1);
  });
});

describe('messages by the bot', () => {
  test('are posted once for a nonce, edited, and gone when deleted', async () => {
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

  test('an ephemeral answer does not exist for the bot, only for the token', async () => {
    reply.body = { type: 5, data: { flags: 64 } };
    const { messageId } = await discord.people.command('plan');
    expect(await call('PATCH', `${channelMessages()}/${messageId}`, { content: 'x' })).toMatchObject({
      status: 404,
      body: { code: 10_008 },
    });
    expect(await call('PATCH', original(tokenOf()), { content: 'x' })).toMatchObject({
      status: 200,
      body: { flags: 64 },
    });
  });

  test.each([
    [{ view: false }, 403, 50_001],
    [{ send: false }, 403, 50_013],
    [{ archived: true }, 400, 50_083],
  ])('a channel with %j', async (rights, status, code) => {
    await discord.faults.apply({ op: 'channel', id: discord.channelId, rights });
    expect(await call('POST', channelMessages(), { content: 'x' })).toMatchObject({ status, body: { code } });
  });

  test('old messages may be edited only now and then', async () => {
    const { body } = await call('POST', channelMessages(), { content: 'x' });
    nowMs += 60 * 60 * 1000 + 1;
    const statuses = [];
    for (let edit = 0; edit < 4; edit += 1) {
      statuses.push(await call('PATCH', `${channelMessages()}/${body.id}`, { content: String(edit) }));
    }
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(statuses[3]?.body).toMatchObject({ code: 30_046, retry_after: 20, global: false });
    expect(statuses[3]?.headers.get('retry-after')).toBe('20');
  });

  test('pings are what allowed_mentions lets through outside code', async () => {
    const content = '@everyone <@1> `<@2>` <@&3>';
    await call('POST', channelMessages(), { content });
    await call('POST', channelMessages(), { content, allowed_mentions: { parse: [] } });
    expect(discord.messages().map(({ versions }) => versions[0]?.pings)).toEqual([['@everyone', '<@1>', '<@&3>'], []]);
  });
});

describe('refusals', () => {
  test.each([
    ['no token', { authorization: '' }, 401, 0],
    ['a wrong token', { authorization: 'Bot wrong' }, 401, 0],
    ['no user agent of a bot', { 'user-agent': 'node' }, 403, 40_333],
  ])('%s', async (_, headers, status, code) => {
    expect(await call('GET', '/users/@me', undefined, headers)).toMatchObject({ status, body: { code } });
  });

  test.each([
    ['GET', '/nowhere', undefined, 404, 0],
    ['PUT', '/users/@me', undefined, 405, 0],
    ['POST', '/channels/1/messages', { content: 'x' }, 404, 10_003],
    ['POST', 'CHANNEL', {}, 400, 50_006],
    ['POST', 'CHANNEL', '{', 400, 50_109],
    ['POST', 'CHANNEL', '{"content":"\\ud800"}', 500, 0],
    ['POST', 'CHANNEL', { content: 'x'.repeat(2_000_000) }, 413, 40_005],
  ])('%s %s %j', async (method, path, body, status, code) => {
    const target = path === 'CHANNEL' ? channelMessages() : path;
    expect(await call(method, target, body)).toMatchObject({ status, body: { code } });
  });

  const button = (extra: object) => ({
    components: [{ type: 1, components: [{ type: 2, style: 1, label: 'x', ...extra }] }],
  });
  const manyFields = Array.from({ length: 26 }, () => ({ name: 'n', value: 'v' }));
  test.each<[string, object, string[], string]>([
    ['content', { content: 'é'.repeat(2001) }, ['content'], 'BASE_TYPE_MAX_LENGTH'],
    ['embeds', { embeds: Array.from({ length: 11 }, () => ({ title: 'x' })) }, ['embeds'], 'BASE_TYPE_MAX_LENGTH'],
    ['an embed’s title', { embeds: [{ title: 'x'.repeat(257) }] }, ['embeds', '0', 'title'], 'BASE_TYPE_MAX_LENGTH'],
    ['an embed’s fields', { embeds: [{ fields: manyFields }] }, ['embeds', '0', 'fields'], 'BASE_TYPE_MAX_LENGTH'],
    [
      'all embeds',
      { embeds: [{ description: 'x'.repeat(4000) }, { description: 'x'.repeat(2001) }] },
      ['embeds'],
      'MAX_EMBED_SIZE_EXCEEDED',
    ],
    [
      'rows',
      { components: Array.from({ length: 6 }, (_, i) => button({ custom_id: String(i) }).components[0]) },
      ['components'],
      'BASE_TYPE_MAX_LENGTH',
    ],
    [
      'an empty row',
      { components: [{ type: 1, components: [] }] },
      ['components', '0', 'components'],
      'BASE_TYPE_BAD_LENGTH',
    ],
    [
      'a label',
      button({ custom_id: 'a', label: 'x'.repeat(81) }),
      ['components', '0', 'components', '0', 'label'],
      'BASE_TYPE_MAX_LENGTH',
    ],
    [
      'a custom id',
      button({ custom_id: 'x'.repeat(101) }),
      ['components', '0', 'components', '0', 'custom_id'],
      'BASE_TYPE_BAD_LENGTH',
    ],
    ['no custom id', button({}), ['components', '0', 'components', '0', 'custom_id'], 'BASE_TYPE_REQUIRED'],
    [
      'a link without a scheme',
      button({ style: 5, url: 'argo' }),
      ['components', '0', 'components', '0', 'url'],
      'URL_TYPE_INVALID_URL',
    ],
    [
      'a link to a bare host',
      button({ style: 5, url: 'http://argo:2746/x' }),
      ['components', '0', 'components', '0', 'url'],
      'URL_TYPE_INVALID_URL',
    ],
    [
      'a link by ftp',
      button({ style: 5, url: 'ftp://a.b' }),
      ['components', '0', 'components', '0', 'url'],
      'URL_TYPE_INVALID_SCHEME',
    ],
    [
      'a custom id twice',
      { components: [...button({ custom_id: 'a' }).components, ...button({ custom_id: 'a' }).components] },
      ['components', '1', 'components', '0', 'custom_id'],
      'COMPONENT_CUSTOM_ID_DUPLICATED',
    ],
    [
      'mentions',
      { content: 'x', allowed_mentions: { parse: ['users'], users: ['1'] } },
      ['allowed_mentions'],
      'MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE',
    ],
    ['a nonce', { content: 'x', nonce: 'x'.repeat(26) }, ['nonce'], 'BASE_TYPE_MAX_LENGTH'],
  ])('50035 names the field: %s', async (_, body, path, code) => {
    const { status, body: answer } = await call('POST', channelMessages(), body);
    expect({ status, code: answer.code }).toEqual({ status: 400, code: 50_035 });
    const node = path.reduce((tree: Record<string, any>, key) => tree[key], answer.errors);
    expect(node['_errors'][0].code).toBe(code);
    expect(discord.messages()).toHaveLength(0);
  });
});

describe('rate limits', () => {
  test('each channel has its own, told in headers before and in a 429 after', async () => {
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
    nowMs += 5000;
    expect((await call('POST', channelMessages(), { content: 'x' })).status).toBe(200);
  });

  test('fifty a second for the bot as a whole, which answers to interactions do not count towards', async () => {
    await discord.people.command('plan');
    const statuses = [];
    for (let count = 0; count < 51; count += 1) {
      statuses.push(await call('GET', `/channels/${discord.channelId}/messages/${count}`));
    }
    expect(statuses[50]).toMatchObject({ status: 429, body: { global: true } });
    expect(statuses[50]?.headers.get('x-ratelimit-global')).toBe('true');
    expect((await call('PATCH', original(tokenOf()), { content: 'x' })).status).toBe(200);
  });
});

describe('faults', () => {
  test('what is refused is not done, what is lost on the way back is done', async () => {
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

  test('another process steers it over HTTP', async () => {
    const base = discord.apiBaseUrl.replace(/\/api$/, '/__sim');
    const control = (command: object) => fetch(`${base}/control`, { method: 'POST', body: JSON.stringify(command) });
    const exchange = await (await control({ op: 'command', name: 'plan' })).json();
    expect(exchange).toMatchObject({ outcome: 'acknowledged' });
    const read = async (path: string) => (await (await fetch(`${base}/${path}`)).json()) as Record<string, any>;
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
    expect(said).not.toContain(tokenOf());
  });

  test('gone and back on the same port', async () => {
    await discord.disconnect();
    await expect(call('GET', '/users/@me')).rejects.toThrow('fetch failed');
    await discord.reconnect();
    expect((await call('GET', '/users/@me')).status).toBe(200);
  });
});

describe('application commands', () => {
  const commands = (guild = '') => `/applications/${discord.applicationId}${guild}/commands`;
  const plan = {
    name: 'plan',
    description: 'Plans',
    options: [{ type: 3, name: 'objective', description: 'What', required: true }],
  };

  test('created, overwritten by name, changed, replaced and deleted', async () => {
    const created = await call('POST', commands(), plan);
    expect(created).toMatchObject({ status: 201, body: { name: 'plan', type: 1 } });
    const again = await call('POST', commands(), { ...plan, description: 'Plans better' });
    expect(again).toMatchObject({ status: 200, body: { id: created.body.id, description: 'Plans better' } });
    expect(again.body.version).not.toBe(created.body.version);
    const one = `${commands()}/${created.body.id}`;
    expect(await call('PATCH', one, { description: 'x' })).toMatchObject({ status: 200, body: { description: 'x' } });
    const review = { name: 'review', description: 'Reviews' };
    expect((await call('PUT', commands(), [review, plan])).body).toHaveLength(2);
    expect((await call('GET', one)).body.id).toBe(created.body.id);
    expect((await call('DELETE', one)).status).toBe(204);
    expect(await call('GET', one)).toMatchObject({ status: 404, body: { code: 10_063 } });
    expect((await call('GET', commands())).body).toMatchObject([{ name: 'review' }]);
  });

  test('a guild has its own; another guild and another application are closed', async () => {
    expect((await call('POST', commands(`/guilds/${discord.guildId}`), plan)).body.guild_id).toBe(discord.guildId);
    expect((await call('GET', commands())).body).toEqual([]);
    expect(await call('GET', commands('/guilds/7'))).toMatchObject({ status: 403, body: { code: 50_001 } });
    expect(await call('GET', '/applications/7/commands')).toMatchObject({ status: 403, body: { code: 20_012 } });
  });

  test.each<[string, object, string]>([
    ['upper case', { ...plan, name: 'Plan' }, 'APPLICATION_COMMAND_INVALID_NAME'],
    ['no description', { name: 'plan' }, 'BASE_TYPE_REQUIRED'],
    [
      'required after optional',
      { ...plan, options: [{ type: 3, name: 'a', description: 'a' }, ...plan.options] },
      'APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID',
    ],
    [
      'a name twice',
      { ...plan, options: [...plan.options, ...plan.options] },
      'APPLICATION_COMMAND_OPTIONS_NAME_NOT_UNIQUE',
    ],
    [
      'too many choices',
      {
        ...plan,
        options: [{ ...plan.options[0], choices: Array.from({ length: 26 }, () => ({ name: 'a', value: 'a' })) }],
      },
      'BASE_TYPE_MAX_LENGTH',
    ],
  ])('50035 for %s', async (_, body, code) => {
    const { status, body: answer } = await call('POST', commands(), body);
    expect(status).toBe(400);
    expect(JSON.stringify(answer.errors)).toContain(code);
  });
});
