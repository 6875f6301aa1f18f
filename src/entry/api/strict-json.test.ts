import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseStrictJson } from './strict-json.ts';

const parse = (text: string) => parseStrictJson(Buffer.from(text));
const faultsOf = (text: string) => {
  const parsed = parse(text);
  return parsed.ok ? [] : parsed.faults.map(({ field, message }) => `${field} ${message}`);
};

const REFUSED: readonly [string, string, readonly string[]][] = [
  ['an empty body', '', ['body is required']],
  ['invalid JSON', '{', ['body is invalid JSON']],
  [
    'a duplicate key',
    '{"a":1,"b":[{"c":1},{"c":1,"c":2}],"a":3}',
    ['body.b.1.c is a duplicate key', 'body.a is a duplicate key'],
  ],
  ['a duplicate key, escaped once', String.raw`{"a":1,"\u0061":2}`, ['body.a is a duplicate key']],
  ['NUL', String.raw`{"a":{"b":"x\u0000"}}`, ['body.a.b must not contain NUL']],
  ['NUL in a key', String.raw`{"a\u0000":1}`, ['body (a key) must not contain NUL']],
  ['a lone surrogate', String.raw`["\ud800"]`, ['body.0 must be well-formed Unicode']],
  [
    'nesting of eleven levels',
    `${'['.repeat(11)}${']'.repeat(11)}`,
    [`body${'.0'.repeat(11)} must not nest deeper than 10 levels`],
  ],
];

test.each(REFUSED)('rejects %s', (_what, text, faults) => {
  expect(faultsOf(text)).toEqual(faults);
});

test('rejects bytes that are not UTF-8', () => {
  expect(parseStrictJson(Buffer.from([0x22, 0xff, 0x22]))).toMatchObject({ ok: false });
});

test('rejects a body with more than 10,000 values before reading it', () => {
  const faults = [{ field: 'body', message: 'must hold at most 10000 values' }];
  expect(parseStrictJson(Buffer.from(`[${'0,'.repeat(10_000)}0]`))).toEqual({ ok: false, faults });
  expect(parseStrictJson(Buffer.from(`[${'0,'.repeat(9_990)}0]`))).toMatchObject({ ok: true });
});

test('rejects __proto__ as a key', () => {
  const fault = { field: expect.any(String), message: 'must not be __proto__' };
  expect(parse('{"a": {"__proto__": 1}}')).toEqual({ ok: false, faults: [fault] });
});

test('parses all other JSON like JSON.parse', () => {
  const json = fc
    .json({ maxDepth: 8, stringUnit: 'grapheme' })
    .filter((text) => !/\\u0000|\\ud[89a-f]|__proto__/i.test(text));
  fc.assert(
    fc.property(json, (text) => {
      expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) });
    }),
  );
});
