import { expect, test } from 'vitest';
import { addedLines } from './runs-logs.ts';

test.each<[string, string, string, string]>([
  ['the whole log at first', '', 'a\nb', 'a\nb'],
  ['nothing if nothing was added', 'a\nb', 'a\nb', ''],
  ['the added lines', 'a\nb', 'a\nb\nc', 'c'],
  ['the lines added to an end that moved on', 'a\nb\nc', 'b\nc\nd', 'd'],
  ['the whole end if nothing overlaps', 'a\nb', 'x\ny', 'x\ny'],
  ['repeated lines as often as they were added', 'a\na', 'a\na\na', 'a'],
  ['nothing for an empty log', 'a', '', ''],
])('following prints %s', (_what, before, after, added) => {
  expect(addedLines(before, after)).toBe(added);
});
