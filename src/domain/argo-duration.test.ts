import { expect, test } from 'vitest';
import { argoDurationMs } from './argo-duration.ts';

// Each of these was tried on a real controller.
test.each([
  ['90', 90_000],
  ['+2', 2000],
  ['-2', -2000],
  ['1500ms', 1500],
  ['1.5h', 5_400_000],
  ['1h1.5s', 3_601_500],
  ['2d', undefined],
  ['1e3', undefined],
  ['2 ', undefined],
  ['soon', undefined],
])('%j is %j milliseconds', (text, ms) => {
  expect(argoDurationMs(text)).toBe(ms);
});
