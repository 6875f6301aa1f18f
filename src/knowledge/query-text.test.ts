import { expect, test } from 'vitest';
import { queryTextOf } from './query-text.ts';

test.each<readonly [string, Record<string, string>, string]>([
  ['a Codex task: its prompt', { prompt: 'Mend it. ', rawEvent: 'eyJ9', head: 'x' }, 'Mend it.'],
  ['a command: what it was given', { action: 'mend', project: 'acme/rocket', notes: 'b', objective: 'a' }, 'b\na'],
  ['nothing', { action: 'mend' }, ''],
])('%s', (_what, parameters, text) => {
  expect(queryTextOf({ parameters })).toBe(text);
});

test('the beginning of a long text, and no half character', () => {
  const text = queryTextOf({ parameters: { prompt: `${'x'.repeat(8191)}🚀` } });
  expect(text.length).toBe(8192);
  expect(text.isWellFormed()).toBe(true);
});
