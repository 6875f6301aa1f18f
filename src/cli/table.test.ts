import fc from 'fast-check';
import { expect, test } from 'vitest';
import { printable, table } from './table.ts';

test('columns are as wide as their widest cell, and the last one is not padded', () => {
  expect(
    table(
      ['ID', 'REASON'],
      [
        ['1', 'short'],
        ['12345', ''],
      ],
    ),
  ).toBe('ID     REASON\n1      short\n12345\n');
});

test('measures columns as a terminal shows them', () => {
  expect(
    table(
      ['東京', ''],
      [
        ['🚀🚀🚀', 'a'],
        ['x', 'b'],
      ],
    ),
  ).toBe('東京\n🚀🚀🚀  a\nx       b\n');
});

test('untrusted text cannot move the cursor, forge a line or reverse the writing', () => {
  expect(printable('a\u001b[2J\r\n\u0085\u2028\u202e\u200f\ud800b')).toBe(
    String.raw`a\u001b[2J\u000d\u000a\u0085\u2028\u202e\u200f\ud800b`,
  );
  expect(printable('Grüße, 🚀 日本')).toBe('Grüße, 🚀 日本');
});

test('a table has one line per row, whatever its cells contain', () => {
  const cell = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell), { maxLength: 8 }), (rows) => {
      expect(table(['A', 'B'], rows).split('\n')).toHaveLength(rows.length + 2);
    }),
  );
});
