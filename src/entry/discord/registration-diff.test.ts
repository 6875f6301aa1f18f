import { expect, test } from 'vitest';
import { type Difference, planSync } from './registration-diff.ts';

const wanted = { name: 'x', type: 1, description: 'x', options: [] } as const;
const create = (name: string): Difference => ({ kind: 'create', name, wanted });
const change = (name: string): Difference => ({ kind: 'change', name, wanted, id: name, changes: [] });
const foreign = (name: string): Difference => ({ kind: 'foreign', name, id: name });
const differences = [
  create('new1'),
  { kind: 'same', name: 'same' } as const,
  create('new2'),
  change('changed'),
  foreign('old1'),
  foreign('old2'),
  foreign('old3'),
];

test.each([
  [10, true, ['~changed', '+new1', '+new2', '-old1', '-old2', '-old3'], []],
  [99, true, ['~changed', '+new1', '-old1', '+new2', '-old2', '-old3'], []],
  [100, true, ['~changed', '-old1', '+new1', '-old2', '+new2', '-old3'], []],
  [99, false, ['~changed', '+new1'], ['new2']],
  [100, false, ['~changed'], ['new1', 'new2']],
  [103, true, ['~changed', '-old1', '+new1', '-old2', '+new2', '-old3'], []],
])('with %i registered, and deletion of unwanted ones allowed: %s', (registered, mayDelete, expected, left) => {
  const signs = { create: '+', change: '~', foreign: '-' };
  const { steps, noRoom } = planSync(differences, registered, () => mayDelete);
  expect(steps.map(({ kind, name }) => `${signs[kind]}${name}`)).toEqual(expected);
  expect(noRoom.map(({ name }) => name)).toEqual(left);
});

test('deletes only what may be deleted to make room', () => {
  const { steps, noRoom } = planSync(differences, 100, (id) => id === 'old2');
  expect(steps.map(({ name }) => name)).toEqual(['changed', 'old2', 'new1']);
  expect(noRoom.map(({ name }) => name)).toEqual(['new2']);
});
