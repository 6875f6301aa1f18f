import { expect, test } from 'vitest';
import { filledForm } from './form.ts';
import { exampleOf, readOptions, readValues, splitWord, usageOf, WordingError } from './wording.ts';

const DEPLOY = {
  name: 'deploy',
  options: [
    { name: 'environment', type: 3, required: true, choices: [{ name: 'Staging', value: 'staging' }] },
    { name: 'replicas', type: 4, required: true, min_value: 2 },
    { name: 'force', type: 5 },
  ],
};
const SERVICE = {
  name: 'service',
  options: [{ name: 'db', type: 2, options: [{ name: 'backup', type: 1, options: [{ name: 'name', type: 3 }] }] }],
};

test.each([
  ['staging', [{ name: 'environment', value: 'staging' }]],
  [
    'replicas: 3 environment: staging',
    [
      { name: 'environment', value: 'staging' },
      { name: 'replicas', value: 3 },
    ],
  ],
  [
    'environment="with: two words" force=TRUE',
    [
      { name: 'environment', value: 'with: two words' },
      { name: 'force', value: true },
    ],
  ],
  ['', []],
])('/deploy %s', (text, options) => {
  expect(readOptions(DEPLOY, text)).toEqual(options);
});

test('refuses invalid values like Discord', () => {
  expect(() => readOptions(DEPLOY, 'replicas: many')).toThrow(new WordingError('replicas: must be a number'));
  expect(() => readOptions(DEPLOY, 'force: maybe')).toThrow(new WordingError('force: must be true or false'));
  expect(() => readOptions(SERVICE, 'cache')).toThrow(new WordingError('/service needs one of these: db'));
});

test('reads the parts of a command as words', () => {
  const backup = { name: 'backup', options: [{ name: 'name', value: 'main' }] };
  expect(readOptions(SERVICE, 'db backup main')).toEqual([{ name: 'db', options: [backup] }]);
});

test('prints the usage of a command, and an example that runs', () => {
  expect(usageOf(DEPLOY)).toEqual(['deploy environment:(staging) replicas: [force:]']);
  expect(usageOf(SERVICE)).toEqual(['service db backup [name:]']);
  expect(exampleOf(DEPLOY)).toBe('deploy environment: staging replicas: 2');
  expect(exampleOf(SERVICE)).toBe('service db backup');
});

test('splits a line into a word and the rest', () => {
  expect(splitWord('  /plan  Ship it ')).toEqual(['plan', 'Ship it']);
  expect(readValues('reason: Not "today"', [])).toEqual({ reason: 'Not "today"' });
});

test('fills in a form with the typed values, else with its defaults', () => {
  const components = [
    { type: 18, label: 'version', component: { type: 4, custom_id: 'output-0', required: true } },
    {
      type: 18,
      label: 'Where',
      component: { type: 3, custom_id: 'output-1', options: [{ value: 'a' }, { value: 'b', default: true }] },
    },
    { type: 18, label: 'Reason', component: { type: 4, custom_id: 'reason', required: false } },
  ];
  const answer = { type: 9, data: { custom_id: 'id', title: 'Approve', components } };
  expect(filledForm(answer, { VERSION: 'v4', '': 'looks good' })?.fields).toEqual({
    'output-0': 'v4',
    'output-1': ['b'],
    reason: 'looks good',
  });
  expect(filledForm(answer, {})?.fields).toEqual({ 'output-0': 'sandbox', 'output-1': ['b'], reason: '' });
  expect(filledForm({ type: 4, data: {} }, {})).toBeUndefined();
});
