import { expect, test } from 'vitest';
import { FacteurError } from './errors.ts';
import { describeError, redactFields, redactText } from './redact.ts';
import { Secret } from './secret.ts';

test.each([
  ['connect postgres://facteur:hunter2@db:5432/kb failed', 'connect postgres://facteur:***@db:5432/kb failed'],
  ['postgres://facteur:hunter@2@db:5432/kb', 'postgres://facteur:***@db:5432/kb'],
  ['redis://:hunter2@cache:6379', 'redis://:***@cache:6379'],
  ['clone https://ghp_0123456789@github.com/a/b', 'clone https://***@github.com/a/b'],
  ['clone https://ghp_0123456789:x-oauth-basic@github.com/a/b', 'clone https://***@github.com/a/b'],
  ['HTTPS://a@b@host/c https://example.org?to=a@b', 'HTTPS://***@host/c https://example.org?to=a@b'],
  ['postgres://facteur@db/kb', 'postgres://facteur@db/kb'],
  ['redis://:8080,x@cache', 'redis://:***@cache'],
  ['redis://:42>hunter2@cache:6379', 'redis://:***@cache:6379'],
  ['postgres://facteur:7)x9KqSecret@db:5432/x', 'postgres://facteur:***@db:5432/x'],
  ['amqp://u)x:secretpw@h/', 'amqp://u)x:***@h/'],
  ["https://o'brien,(tok)en;x@git.example/", 'https://***@git.example/'],
  ['header Authorization: Bearer abcdefgh12345', 'header Authorization: Bearer ***'],
  ['Bot MTIzNDU2.abc.def-ghi sent', 'Bot *** sent'],
  [
    'PATCH https://discord.com/api/v10/webhooks/123/aW50ZXJhY3Rpb24/messages/@original',
    'PATCH https://discord.com/api/v10/webhooks/123/***/messages/@original',
  ],
  ['bearer abcdefgh12345', 'bearer ***'],
  [`id eyJ${'a'.repeat(10)}.${'b'.repeat(10)}.${'c'.repeat(10)}`, 'id ***'],
  ['POST /webhooks/42/secret-token', 'POST /webhooks/42/***'],
  ['POST /interactions/42/secret-token/callback', 'POST /interactions/42/***/callback'],
  ['the bot is not a bearer of news', 'the bot is not a bearer of news'],
  ['use bearer authentication. Bot permissions are', 'use bearer authentication. Bot permissions are'],
  ['a Bearer assertion-grant, not Basic', 'a Bearer assertion-grant, not Basic'],
  ['Authorization: Bearer supersecret', 'Authorization: Bearer ***'],
  ['{"authorization": "Bot supersecret"}', '{"authorization": "Bot ***"}'],
  ['Bearer abCdefGhijk', 'Bearer ***'],
  ['mail someone@example.org about https://example.org/a:b', 'mail someone@example.org about https://example.org/a:b'],
])('%s', (text, expected) => {
  expect(redactText(text)).toBe(expected);
});

test.each(['{"site":"https://acme.io","owner":"ops@acme.io"}', '<https://acme.io>;cc:@bob'])(
  'an address after a URL is not part of it: %s',
  (text) => {
    expect(redactText(text)).toBe(text);
  },
);

test('hides the token of a pod, which is longer than most', () => {
  const token = ['eyJ'.padEnd(90, 'h'), 'p'.repeat(768), 's'.repeat(342)].join('.');
  expect(redactText(`its token (${token})`)).toBe('its token (***)');
  expect(redactText(`pod-${token}`)).toBe('pod-***');
});

test('hides values under secret names at any depth, but not counts and blanks', () => {
  expect(
    redactFields({
      intakeTokens: 2,
      botToken: 'abc',
      request: { headers: { authorization: 'Bearer x', 'content-type': 'text/plain' } },
      password: '',
      api_key: undefined,
      list: [{ secret: ['a'] }],
    }),
  ).toEqual({
    intakeTokens: 2,
    botToken: '***',
    request: { headers: { authorization: '***', 'content-type': 'text/plain' } },
    password: '',
    api_key: undefined,
    list: [{ secret: '***' }],
  });
});

test('converts values that JSON cannot express to text', () => {
  const cycle: Record<string, unknown> = {};
  cycle['again'] = cycle;
  const safe = redactFields({
    big: 12n,
    when: new Date(0),
    never: new Date(Number.NaN),
    bytes: Buffer.from('secret bytes'),
    held: new Secret('x'),
    cycle,
  });
  expect(JSON.parse(JSON.stringify(safe))).toMatchObject({
    big: '12',
    when: '1970-01-01T00:00:00.000Z',
    never: 'invalid date',
    bytes: '(12 bytes)',
    held: '***',
  });
});

test('treats __proto__ as a plain field name', () => {
  const safe = redactFields(JSON.parse('{"__proto__":{"polluted":true}}') as Record<string, unknown>);
  expect(Object.keys(safe)).toEqual(['__proto__']);
  expect(safe['polluted']).toBeUndefined();
});

test('describes a typed error by its code and message, and an unexpected one with its stack', () => {
  const cause = new Error('connect redis://:hunter2@cache failed');
  const typed = describeError(new FacteurError('a.b', 'no session', { retryable: true, cause }));
  expect(typed).toEqual({ message: 'no session', code: 'a.b', cause: 'connect redis://:***@cache failed' });
  const unexpected = describeError(new TypeError('x is undefined'));
  expect(unexpected['message']).toBe('x is undefined');
  expect(unexpected['stack']).toContain('redact.test');
});
