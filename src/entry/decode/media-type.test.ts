import { describe, expect, test } from 'vitest';
import type { IncomingHeaders } from './incoming.ts';
import { payloadFormat } from './media-type.ts';

const formatOf = (headers: IncomingHeaders, body = '') => payloadFormat({ headers, body: Buffer.from(body) });

test.each([
  [undefined, 'protobuf'],
  ['', 'protobuf'],
  ['application/x-protobuf', 'protobuf'],
  ['application/protobuf', 'protobuf'],
  ['Application/Octet-Stream', 'protobuf'],
  ['application/x-protobuf; messageType=proompteng.facteur.v1.CommandEvent', 'protobuf'],
  ['application/json', 'json'],
  ['application/json;charset=UTF-8', 'json'],
  ['application/json; charset="utf-8"', 'json'],
  ['application/vnd.discord.command+json', 'json'],
  ['application/cloudevents+json; charset=utf-8', 'cloudevent'],
])('%s is %s', (type, format) => {
  expect(formatOf({ 'content-type': type })).toBe(format);
});

test.each([
  [undefined, '{"command":"plan"}', 'json'],
  [' ', '{', 'json'],
  ['application/octet-stream', '{', 'json'],
  ['application/x-protobuf', '{', 'protobuf'],
  // A CommandEvent with a provider begins with a line feed.
  [undefined, '\n{', 'protobuf'],
  [undefined, '', 'protobuf'],
])('with type %s, %j is %s', (type, body, format) => {
  expect(formatOf({ 'content-type': type }, body)).toBe(format);
});

describe('unsupported media type', () => {
  test.each([
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'application/cloudevents-batch+json',
    'application/jsonp',
    'application/+json',
    'application/json; charset=latin1',
    'multipart/form-data; boundary=x',
    'nonsense',
  ])('%s', (type) => {
    expect(() => formatOf({ 'content-type': type })).toThrow(
      expect.objectContaining({ kind: 'unsupported_media_type' }),
    );
  });

  test.each(['gzip', 'br', 'deflate', 'zstd', 'identity, gzip', 'x'])('content encoding %s', (encoding) => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    expect(() => formatOf(headers)).toThrow(expect.objectContaining({ kind: 'unsupported_media_type' }));
  });
});

test.each(['identity', 'IDENTITY', '', undefined])('content encoding %s counts as none', (encoding) => {
  expect(formatOf({ 'content-type': 'application/json', 'content-encoding': encoding })).toBe('json');
});
