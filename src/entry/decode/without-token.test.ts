import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { CommandEventSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';
import { withoutToken } from './without-token.ts';

const TOKEN = 'aW50ZXJhY3Rpb246MTIzOnNlY3JldA==';
const json = { 'content-type': 'application/json' };
const structured = { 'content-type': 'application/cloudevents+json' };

test('protobuf: removes the field and keeps every other byte', () => {
  const event = { command: 'plan', interactionId: 'i', options: { a: 'b' } };
  const secret = toBinary(CommandEventSchema, create(CommandEventSchema, { ...event, token: 'short' }));
  const kept = withoutToken({ headers: {}, body: Buffer.from(secret) });
  expect(kept).toEqual(Buffer.from(toBinary(CommandEventSchema, create(CommandEventSchema, event))));
});

test('JSON: removes the field, and leaves a body without a token unchanged', () => {
  const body = Buffer.from('{ "command": "plan", "token": "short", "n": 1 }');
  expect(withoutToken({ headers: json, body }).toString()).toBe('{"command":"plan","n":1}');
  const clean = Buffer.from('{ "command" : "plan" }');
  expect(withoutToken({ headers: json, body: clean })).toBe(clean);
});

test('structured CloudEvent: removes the field in data and in data_base64', () => {
  const data = withoutToken({ headers: structured, body: Buffer.from('{"id":"1","data":{"token":"short","x":1}}') });
  expect(JSON.parse(data.toString())).toEqual({ id: '1', data: { x: 1 } });
  const secret = Buffer.from(
    toBinary(CommandEventSchema, create(CommandEventSchema, { command: 'a', token: 'short' })),
  );
  const body = Buffer.from(JSON.stringify({ id: '1', data_base64: secret.toString('base64') }));
  const kept = JSON.parse(withoutToken({ headers: structured, body }).toString()) as { data_base64: string };
  expect(fromBinary(CommandEventSchema, Buffer.from(kept.data_base64, 'base64'))).toMatchObject({
    command: 'a',
    token: '',
  });
});

test.each([
  ['cut-off JSON', json, `{"command":"plan","token":"${TOKEN}","opt`],
  ['JSON that is not an object', json, `["${TOKEN}"]`],
  ['an unsupported type', { 'content-type': 'text/plain' }, `token=${TOKEN}&x=1`],
  ['cut-off protobuf', {}, `\u0001\u0002${TOKEN}`],
  ['a token in the wrong place', json, `{"command":"plan","note":"${TOKEN}"}`],
])('%s: overwrites what looks like a token and keeps the length', (_name, headers, text) => {
  const body = Buffer.from(text);
  const kept = withoutToken({ headers, body });
  expect(kept.length).toBe(body.length);
  expect(kept.toString()).toBe(text.replace(TOKEN, '*'.repeat(TOKEN.length)));
});

describe('a CloudEvent that is cut off or unreadable: the token in data_base64 is overwritten too', () => {
  const event = (token: string, before: string): string =>
    JSON.stringify({
      id: '1',
      data_base64: Buffer.from(JSON.stringify({ before, token, after: 1 })).toString('base64'),
    });

  test.each([
    ['', 0],
    ['a', 5],
    ['ab', 20],
    ['abc', 0],
  ])('at any position (after %j) and with any cut (%i bytes missing)', (before, missing) => {
    const whole = event(TOKEN, before).slice(0, -1);
    const body = Buffer.from(whole.slice(0, whole.length - missing));
    const kept = withoutToken({ headers: structured, body });
    expect(kept.length).toBe(body.length);
    const [, data = ''] = /"data_base64":"([^*"]*)/.exec(kept.toString()) ?? [];
    expect(Buffer.from(data, 'base64').toString()).toMatch(/^\{"before":"a?b?c?","token":"/);
    expect(Buffer.from(data, 'base64').toString()).not.toContain(TOKEN.slice(0, 4));
    expect(kept.toString()).toMatch(/\*{20,}"?$/);
  });

  test('escaped slashes do not end the token', () => {
    const body = Buffer.from('{"data":{"token":"aW50ZXJhY3Rpb246MTIz\\/secret","opt');
    expect(withoutToken({ headers: structured, body }).toString()).toBe(`{"data":{"token":"${'*'.repeat(28)}","opt`);
  });
});
