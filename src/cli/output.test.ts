import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { oneOutput } from './output.ts';

const PARSE: Readonly<Record<'json' | 'yaml', (text: string) => unknown>> = {
  json: JSON.parse,
  yaml: (text) => parse(text),
};

test.each(['json', 'yaml'] as const)(
  '%s escapes characters that a terminal obeys, and parses to the same value',
  (output) => {
    const text = fc
      .string({ unit: 'binary' })
      .map((any) => `${any}\u202e\u200d\u2028\u009b\uffff\u{e0001}`.toWellFormed());
    fc.assert(
      fc.property(text, text, (key, value) => {
        const row = { [`k${key}`]: [value] };
        const printed = oneOutput(row, { output }, { name: () => '', text: () => '' });
        expect(printed).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}\u0000-\u0009\u000b-\u001f\u007f-\u009f\ufffe\uffff]/u);
        expect(PARSE[output](printed)).toEqual(row);
      }),
    );
  },
);

test('YAML escapes a character beyond 16 bits as one, since other parsers reject surrogates', () => {
  const printed = oneOutput({ title: 'a\u{e0001}b' }, { output: 'yaml' }, { name: () => '', text: () => '' });
  expect(printed.trimEnd()).toBe(String.raw`title: "a\U000e0001b"`);
});

test('YAML 1.1 parsers, which many programs use, read the same values', () => {
  const row = { title: 'no', reason: '1:30', acceptedAt: '2026-11-28T12:00:00.000Z' };
  const printed = oneOutput(row, { output: 'yaml' }, { name: () => '', text: () => '' });
  expect(parse(printed, { version: '1.1' })).toEqual(row);
});
