import { describe, expect, test } from 'vitest';
import { payloadFormat } from './media-type.ts';

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
  expect(payloadFormat({ 'content-type': type })).toBe(format);
});

describe('refused with unsupported media type', () => {
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
    expect(() => payloadFormat({ 'content-type': type })).toThrow(
      expect.objectContaining({ kind: 'unsupported_media_type' }),
    );
  });

  test.each(['gzip', 'br', 'deflate', 'zstd', 'identity, gzip', 'x'])('content encoding %s', (encoding) => {
    const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
    expect(() => payloadFormat(headers)).toThrow(expect.objectContaining({ kind: 'unsupported_media_type' }));
  });
});

test.each(['identity', 'IDENTITY', '', undefined])('content encoding %s is none', (encoding) => {
  expect(payloadFormat({ 'content-type': 'application/json', 'content-encoding': encoding })).toBe('json');
});
