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

const channelMessages = () => `/channels/${discord.channelId}/messages`;

describe('refusals', () => {
  test.each([
    ['no token', { authorization: '' }, 401, 0],
    ['a wrong token', { authorization: 'Bot wrong' }, 401, 0],
    ['not the user agent of a bot', { 'user-agent': 'node' }, 403, 40_333],
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
  ])('%s %s: %#', async (...[method, path, body, status, code]) => {
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
      'a duplicate custom id',
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
    const node = path.reduce((tree, key) => tree[key], answer.errors);
    expect(node['_errors'][0].code).toBe(code);
    expect(discord.messages()).toHaveLength(0);
  });
});

describe('application commands', () => {
  const commands = (guild = '') => `/applications/${discord.applicationId}${guild}/commands`;
  const plan = {
    name: 'plan',
    description: 'Plans',
    options: [{ type: 3, name: 'objective', description: 'What', required: true }],
  };

  test('can be created, overwritten by name, changed, replaced and deleted', async () => {
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

  test('a guild has its own; another guild and another application are forbidden', async () => {
    expect((await call('POST', commands(`/guilds/${discord.guildId}`), plan)).body.guild_id).toBe(discord.guildId);
    expect((await call('GET', commands())).body).toEqual([]);
    expect(await call('GET', commands('/guilds/7'))).toMatchObject({ status: 403, body: { code: 50_001 } });
    expect(await call('GET', '/applications/7/commands')).toMatchObject({ status: 403, body: { code: 20_012 } });
  });

  test.each<[string, object, string]>([
    ['an uppercase name', { ...plan, name: 'Plan' }, 'APPLICATION_COMMAND_INVALID_NAME'],
    ['no description', { name: 'plan' }, 'BASE_TYPE_REQUIRED'],
    [
      'required after optional',
      { ...plan, options: [{ type: 3, name: 'a', description: 'a' }, ...plan.options] },
      'APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID',
    ],
    [
      'a duplicate name',
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
