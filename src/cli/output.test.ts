import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { oneOutput } from './output.ts';

const PARSE: Readonly<Record<'json' | 'yaml', (text: string) => unknown>> = {
  json: JSON.parse,
  yaml: (text) => parse(text),
};

test.each(['json', 'yaml'] as const)('%s holds no character that a terminal obeys, and says the same', (output) => {
  const text = fc.string({ unit: 'binary' }).map((any) => `${any}\u202e\u200d\u2028\u009b\u{e0001}`.toWellFormed());
  fc.assert(
    fc.property(text, text, (key, value) => {
      const row = { [`k${key}`]: [value] };
      const printed = oneOutput(row, { output }, { name: () => '', text: () => '' });
      expect(printed).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}\u0000-\u0009\u000b-\u001f\u007f-\u009f]/u);
      expect(PARSE[output](printed)).toEqual(row);
    }),
  );
});
