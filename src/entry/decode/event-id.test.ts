import { describe, expect, test } from 'vitest';
import { eventId, eventIdOf } from './event-id.ts';
import { openEnvelope } from './payload.ts';

const idOf = (id: string, door: 'http' | 'kafka') => eventIdOf({ 'ce-source': '/s', 'ce-id': id }, door);

describe('the identity of a CloudEvent in binary mode', () => {
  test.each([
    ['plain', 'plain'],
    ['partition:1/offset:24', 'partition:1/offset:24'],
    ['order%2042%20%22rush%22', 'order 42 "rush"'],
    ['%E2%82%AC%f0%9f%98%80', '€😀'],
    ['a%2520b', 'a%20b'],
    ['a+b', 'a+b'],
    ['"in quotes"', 'in quotes'],
    [String.raw`"a \"b\" \\ %20"`, String.raw`a "b" \  `],
    ['"half', '"half'],
    ['100%', '100%'],
    ['100%20%', '100%20%'],
    ['%ff', '%ff'],
  ])('over HTTP %j is decoded to %j, and in Kafka it is unchanged', (header, id) => {
    expect(idOf(header, 'http')).toBe(`/s|${id}`);
    expect(idOf(header, 'kafka')).toBe(`/s|${header}`);
  });

  test('needs both attributes', () => {
    expect(eventIdOf({ 'ce-id': '1' }, 'http')).toBe('');
    expect(eventIdOf({ 'ce-source': '""', 'ce-id': '1' }, 'http')).toBe('');
    expect(eventIdOf({ 'ce-source': '/%E2%82%AC', 'ce-id': '1' }, 'http')).toBe('/€|1');
  });
});

describe('no two events share an identity', () => {
  test.each([
    [
      ['a|b', 'c'],
      ['a', 'b|c'],
    ],
    [
      ['a|b', 'c'],
      ['a%7Cb', 'c'],
    ],
    [
      ['a|b%7C', 'c'],
      ['a|b|', 'c'],
    ],
    [
      ['|a', 'b'],
      ['', 'a|b'],
    ],
  ])('%j and %j', (one, other) => {
    expect(eventId(...(one as [string, string]))).not.toBe(eventId(...(other as [string, string])));
  });

  test('for any source and id', () => {
    const parts = ['', 'a', '|', '%', '7C', '%7C', '%25'];
    const texts = new Set(parts.flatMap((one) => parts.flatMap((two) => parts.map((three) => one + two + three))));
    texts.delete('');
    const ids = [...texts].flatMap((source) => [...texts].map((id) => eventId(source, id)));
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('a source without | keeps its original identity', () => {
    expect([eventId('/s', '1'), eventId('/s', 'a|b|'), eventId('a%7Cb%', 'c')]).toEqual([
      '/s|1',
      '/s|a|b|',
      'a%7Cb%|c',
    ]);
  });

  test('one event has the same identity in binary and structured mode, over HTTP and in Kafka', () => {
    const body = Buffer.from('{"command":"plan"}');
    const type = { 'content-type': 'application/json' };
    const event = Buffer.from(JSON.stringify({ source: 'a|b', id: 'c', data: {} }));
    const structured = { headers: { 'content-type': 'application/cloudevents+json' }, body: event };
    const ids = [
      openEnvelope({ headers: { ...type, 'ce-source': 'a|b', 'ce-id': 'c' }, body }, 'kafka'),
      openEnvelope({ headers: { ...type, 'ce-source': 'a|b', 'ce-id': 'c' }, body }, 'http'),
      openEnvelope({ headers: { ...type, 'ce-source': 'a%7Cb', 'ce-id': 'c' }, body }, 'http'),
      openEnvelope(structured, 'http'),
      openEnvelope(structured, 'kafka'),
    ].map((envelope) => envelope.eventId);
    expect(ids).toEqual(ids.map(() => '|a%7Cb|c'));
  });
});
