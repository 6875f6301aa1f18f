import { assert, property, string } from 'fast-check';
import { expect, test } from 'vitest';
import { commandText } from './command-text.ts';

test.each([
  ['Deploys the app.', 'Deploys the app'],
  ['Deploys the app. Then waits.', 'Deploys the app'],
  ['Needs a tag, e.g. v4 or main. Ask ops!', 'Needs a tag, e.g. v4 or main'],
  ['Sure? Then go on.', 'Sure?'],
  ['# Deploy\n\nMore', 'Deploy'],
  [
    '\n\n> **Deploys** the _app_ with `make deploy`\nof `snake_case_name`',
    'Deploys the app with make deploy of snake_case_name',
  ],
  ['See [the docs](https://example.test/a_b) ![logo](x.png)', 'See the docs logo'],
  ['<b>Bold</b> <br/> a < b', 'Bold a < b'],
  ['- one\n- two', 'one two'],
  ['```sh\nrm -rf\n```', 'rm -rf'],
  ['a\u0000b\u200bc\u2028d', 'a b c d'],
  ['   ', ''],
])('%j becomes %j', (markdown, text) => {
  expect(commandText(markdown, 100)).toBe(text);
});

test('is cut after a word, counted in characters', () => {
  expect(commandText('word '.repeat(30), 22)).toBe('word word word word…');
  expect([...commandText('𝒅'.repeat(200), 100)]).toHaveLength(100);
});

test('is always one line within the limit', () => {
  assert(
    property(string({ unit: 'binary', maxLength: 500 }), (markdown) => {
      const text = commandText(markdown, 100);
      return [...text].length <= 100 && !/[\n\r\u0000]/.test(text) && text === text.trim() && text.isWellFormed();
    }),
    { numRuns: 500 },
  );
});
