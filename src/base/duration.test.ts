import { expect, test } from 'vitest';
import { parseDuration } from './duration.ts';

test.each([
  ['1s', 1000],
  ['500ms', 500],
  ['1m30s', 90_000],
  ['1.5s', 1500],
  ['.5s', 500],
  ['2h', 7_200_000],
  ['1500us', 2],
  ['2000000ns', 2],
  ['+1s', 1000],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '1', '1000', '-1s', 's', '1 s', '1d', '1s2', 'one second'])('%j is not a duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});
