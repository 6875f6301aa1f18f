import { expect, test } from 'vitest';
import { trimmed } from './trimmed.ts';

test.each([
  [' x ', 'x'],
  ['\t\n\v\f\r x y \u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000', 'x y'],
  [' \u3000 ', ''],
  ['', ''],
  ['x', 'x'],
  ['\ufeffx\u200b', '\ufeffx\u200b'],
  [' \u{1f600} ', '\u{1f600}'],
])('trims %j to %j, as Go does', (text, expected) => {
  expect(trimmed(text)).toBe(expected);
});
