import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../domain/refusal.ts';
import { readInteraction } from './interaction.ts';

const member = { user: { id: '7', username: 'ada', global_name: null }, roles: ['11', '12'] };
const base = {
  id: '100',
  application_id: '1',
  token: 'canary-token',
  version: 1,
  guild_id: '8',
  channel_id: '9',
  member,
};
const read = (value: unknown) => readInteraction(Buffer.from(JSON.stringify(value)));

describe('readInteraction', () => {
  test('reads a ping without any other field', () => {
    expect(read({ type: 1 })).toEqual({ kind: 'ping' });
  });

  test('reads a command of a member, with its options as text under dotted names', () => {
    const options = [
      { name: 'text', type: 3, value: '  as it is ' },
      { name: 'count', type: 4, value: 9_007_199_254_740_991 },
      { name: 'ratio', type: 10, value: 0.5 },
      { name: 'force', type: 5, value: false },
      { name: 'who', type: 6, value: '700000000000000001' },
      { name: 'start', type: 1, options: [{ name: 'service', type: 3, value: 'api' }] },
      { name: 'db', type: 2, options: [{ name: 'backup', type: 1, options: [{ name: 'name', type: 3, value: 'x' }] }] },
      { name: 'list', type: 1 },
    ];
    expect(read({ ...base, type: 2, data: { id: '1', name: 'deploy', type: 1, options } })).toMatchObject({
      kind: 'command',
      interactionId: '100',
      name: 'deploy',
      options: {
        text: '  as it is ',
        count: '9007199254740991',
        ratio: '0.5',
        force: 'false',
        who: '700000000000000001',
        'start.service': 'api',
        'db.backup.name': 'x',
      },
      principal: { userId: '7', username: 'ada', globalName: '', roles: ['11', '12'], guildId: '8', channelId: '9' },
    });
  });

  test('a direct message has no roles', () => {
    const { member: _member, guild_id: _guild, ...direct } = base;
    const user = { id: '7', username: 'ada', global_name: 'Ada' };
    expect(read({ ...direct, type: 2, user, data: { name: 'plan', type: 1 } })).toMatchObject({
      principal: { userId: '7', globalName: 'Ada', roles: [], guildId: '', channelId: '9' },
    });
  });

  test.each([
    { shape: 'labels', components: [{ type: 18, id: 1, component: { type: 4, custom_id: 'content', value: 'x\ny' } }] },
    { shape: 'rows', components: [{ type: 1, components: [{ type: 4, custom_id: 'content', value: 'x\ny' }] }] },
    {
      shape: 'mixed',
      components: [
        { type: 10, id: 3 },
        { type: 18, component: { type: 4, custom_id: 'content', value: 'x\ny' } },
        { type: 18, component: { type: 3, custom_id: 'choice', values: ['a'] } },
      ],
    },
  ])('reads a form (shape: $shape)', ({ components }) => {
    expect(read({ ...base, type: 5, data: { custom_id: 'facteur:modal:ask', components } })).toMatchObject({
      kind: 'form',
      customId: 'facteur:modal:ask',
      fields: { content: 'x\ny' },
    });
  });

  test('reads a pressed button', () => {
    const data = { custom_id: 'facteur:cancel:x', component_type: 2 };
    expect(read({ ...base, type: 3, data })).toMatchObject({ kind: 'press', customId: 'facteur:cancel:x' });
  });

  test('reads the focused option, also in a subcommand', () => {
    const typing = (options: unknown) => read({ ...base, type: 4, data: { name: 'deploy', type: 1, options } });
    const option = { name: 'version', type: 3, value: 'la', focused: true };
    expect(typing([{ name: 'x', value: 'y' }, option])).toMatchObject({ focused: { name: 'version', typed: 'la' } });
    expect(typing([{ name: 'start', options: [option] }])).toMatchObject({
      focused: { name: 'start.version', typed: 'la' },
    });
    expect(typing([])).toMatchObject({ kind: 'typing', focused: undefined });
  });

  test.each([
    { type: 99, data: {} },
    { type: 2, data: { name: 'Inspect', type: 3, target_id: '1' } },
  ])('reads an unsupported interaction as other: %j', (interaction) => {
    expect(read({ ...base, ...interaction })).toMatchObject({ kind: 'other' });
  });

  test('options and fields may have any name', () => {
    const options = [
      { name: '__proto__', value: 'x' },
      { name: 'constructor', value: 'y' },
    ];
    const interaction = read({ ...base, type: 2, data: { name: 'plan', options } });
    expect(interaction.kind === 'command' && Object.keys(interaction.options)).toEqual(['__proto__', 'constructor']);
  });

  test.each(['{', '[]', '{}', '"x"', '\u00ff'])('%j is not an interaction', (text) => {
    expect(() => readInteraction(Buffer.from(text, 'latin1'))).toThrow(Refusal);
  });

  test.each([
    ['a missing id', { id: undefined, data: { name: 'x' } }, 'id: is missing'],
    ['a missing token', { token: '', data: { name: 'x' } }, 'token: is missing'],
    ['a missing command name', {}, 'name: is missing'],
    ['a missing custom id', { type: 3, data: {} }, 'custom_id: is missing'],
    [
      'NUL in an option',
      { data: { name: 'x', options: [{ name: 'a', value: '\0' }] } },
      'options.a: must not contain NUL',
    ],
    [
      'a lone surrogate in a field',
      { type: 5, data: { custom_id: 'c', components: [{ component: { custom_id: 'f', value: '\ud800' } }] } },
      'f: must be well-formed Unicode',
    ],
    [
      'a lone surrogate in a name',
      { member: { user: { username: '\ud800' } } },
      'username: must be well-formed Unicode',
    ],
  ])('%s makes it unreadable, with details for the user', (_what, change, details) => {
    const interaction = read({ ...base, type: 2, ...change });
    expect(interaction).toMatchObject({ kind: 'unreadable', refusal: { kind: 'invalid_payload', details } });
    expect(JSON.stringify(interaction)).not.toContain('canary');
  });

  test('any JSON is read or refused', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(1, 2, 3, 4, 5, 9), (data, type) => {
        const interaction = { ...base, type, data, member: data };
        try {
          read(interaction);
          read(data);
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal);
        }
      }),
    );
  });

  test('an unreadable autocomplete interaction is marked as typing', () => {
    expect(read({ ...base, type: 4, data: { name: '\0' } })).toMatchObject({ kind: 'unreadable', typing: true });
  });

  test('the serialized interaction does not contain the token', () => {
    const interaction = read({ ...base, type: 2, data: { name: 'plan' } });
    expect(JSON.stringify(interaction)).not.toContain('canary');
  });
});
