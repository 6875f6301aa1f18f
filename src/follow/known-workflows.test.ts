import { expect, test } from 'vitest';
import type { Observation } from '../ledger/observe-workflows.ts';
import { KnownWorkflows } from './known-workflows.ts';
import { observation } from '../../test/support/observations.ts';

function seen(fields: Partial<Observation> = {}): Observation {
  return observation({ name: 'w', uid: 'u', version: 5n, progress: '1/3', ...fields });
}

test('a different state or progress in a newer version is news', () => {
  const known = new KnownWorkflows();
  expect(known.isNews(seen())).toBe(true);
  known.note(seen());
  expect(known.isNews(seen({ version: 6n }))).toBe(false);
  expect(known.isNews(seen({ version: 6n, progress: '2/3' }))).toBe(true);
  expect(known.isNews(seen({ version: 6n, state: 'failed' }))).toBe(true);
  expect(known.isNews(seen({ version: 4n, progress: '0/3' }))).toBe(false);
  expect(known.isNews(seen({ version: undefined, progress: '0/3' }))).toBe(true);
  expect(known.isNews(seen({ uid: 'other' }))).toBe(true);
});

test('a change in any version is news once the versions are forgotten', () => {
  const known = new KnownWorkflows();
  known.note(seen());
  known.forgetVersions();
  expect(known.isNews(seen({ version: 2n }))).toBe(false);
  expect(known.isNews(seen({ version: 2n, progress: '0/3' }))).toBe(true);
  known.note(seen({ version: 2n, progress: '0/3' }));
  expect(known.isNews(seen({ version: 1n }))).toBe(false);
});

test('progress of a workflow that is not running yet is not news', () => {
  const known = new KnownWorkflows();
  known.note(seen({ state: 'submitted', progress: '' }));
  expect(known.isNews(seen({ version: 6n, state: 'submitted', progress: '0/3' }))).toBe(false);
});

test('keeps only workflows that have not ended', () => {
  const known = new KnownWorkflows();
  known.note(seen());
  known.note(seen({ uid: 'v' }));
  known.note(seen({ uid: 'w' }));
  known.note(seen({ state: 'succeeded' }));
  expect([known.size, known.stateOf('u'), known.stateOf('v')]).toEqual([2, undefined, 'running']);
  known.forgetAllBut(new Set(['v']));
  expect([known.size, known.stateOf('w')]).toEqual([1, undefined]);
  known.forget('v');
  expect(known.size).toBe(0);
});
