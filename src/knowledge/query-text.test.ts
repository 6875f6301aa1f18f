import { expect, test } from 'vitest';
import { queryTextOf } from './query-text.ts';

test.each<readonly [string, Record<string, string>, string]>([
  ['a Codex task: its prompt', { prompt: 'Mend it. ', rawEvent: 'eyJ9', head: 'x' }, 'Mend it.'],
  [
    'a command: its notes and its objective',
    { action: 'mend', project: 'acme/rocket', notes: 'b', objective: 'a' },
    'b\na',
  ],
  ['no text: empty', { action: 'mend' }, ''],
])('%s', (_what, parameters, text) => {
  expect(queryTextOf({ parameters })).toBe(text);
});

test('truncates a long text, without a partial character', () => {
  const text = queryTextOf({ parameters: { prompt: `${'x'.repeat(8191)}🚀` } });
  expect(text.length).toBe(8192);
  expect(text.isWellFormed()).toBe(true);
});
