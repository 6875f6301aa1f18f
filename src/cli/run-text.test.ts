import { expect, test } from 'vitest';
import type { RunView } from '../ledger/find-runs.ts';
import { runListing } from './run-text.ts';
import { columnsOf } from '../base/text-columns.ts';
import { screenOf } from './screen.ts';

const NOW = new Date('2026-11-28T12:10:00Z');
const at = (seconds: number) => new Date(NOW.getTime() - seconds * 1000);

const RUN: RunView = {
  runId: '0b5e7d3c-1f2a-4b6c-8d9e-0f1a2b3c4d5e',
  deliveryId: '1300000000000000001',
  kind: 'command',
  command: 'plan',
  title: 'Ship the sandbox',
  door: 'discord',
  state: 'running',
  reason: '',
  progress: '3/7',
  namespace: 'argo',
  workflowName: 'plan-20261128-120800-4f9a1c',
  workflowUid: '7a1c',
  correlationId: 'plan-20261128-120800-4f9a1c',
  userId: '200000000000000001',
  attempts: 1,
  retryCount: 0,
  retryOf: '',
  cancelRequestedBy: '',
  acceptedAt: at(125),
  submittedAt: at(124),
  startedAt: at(122),
  finishedAt: null,
  revision: 4,
};
const RUNS: readonly RunView[] = [
  RUN,
  {
    ...RUN,
    runId: '9a61c254-a07f-4ebd-8c15-3c4d5e6f7081',
    state: 'queued',
    progress: '',
    startedAt: null,
    submittedAt: null,
    title: '',
  },
  {
    ...RUN,
    runId: 'c58e2f74-9d3a-4b16-8f0c-1a2b3c4d5e6f',
    kind: 'codex',
    command: 'implementation',
    title: 'proompteng/lab#12: 東京のデプロイ手順を直し、そのあとで全部の説明書も書き直す 👩‍🚀 and then some more words',
    door: 'http',
    state: 'failed',
    reason: 'build: Error (exit code 2)',
    userId: '',
    acceptedAt: at(90_000),
    startedAt: at(89_990),
    finishedAt: at(86_000),
  },
  {
    ...RUN,
    runId: 'd69f3085-ae4b-4c27-9a1d-2b3c4d5e6f70',
    state: 'succeeded',
    title: 'evil\u001b[2J\u202e',
    acceptedAt: at(3),
    startedAt: at(2),
    finishedAt: at(1),
  },
];
test.each([80, 100, 120, 200])('no line of a list is wider than a screen of %d columns', (width) => {
  const lines = runListing(RUNS, false, { width, colour: false, now: NOW }).split('\n');
  expect(lines.filter((line) => columnsOf(line) > width)).toEqual([]);
});

test('lists more rows than a function takes arguments', () => {
  const runs = Array.from({ length: 200_000 }, () => RUN);
  expect(runListing(runs, false, { width: 80, colour: false, now: NOW }).split('\n')).toHaveLength(200_002);
});

test('prints whole lines on a terminal of unknown width', () => {
  const screen = screenOf({ env: {}, stdout: { write: () => undefined, isTTY: true, columns: 0 } });
  expect(runListing([RUN], false, { ...screen, now: NOW })).toContain('/plan Ship the sandbox');
});

test.each<[string, Record<string, string>, boolean, boolean]>([
  ['a terminal', {}, true, true],
  ['a file', {}, false, false],
  ['NO_COLOR', { NO_COLOR: '1' }, true, false],
  ['an empty NO_COLOR', { NO_COLOR: '' }, true, true],
  ['FORCE_COLOR', { FORCE_COLOR: '1' }, false, true],
  ['FORCE_COLOR=0', { FORCE_COLOR: '0' }, true, false],
  ['a dumb terminal', { TERM: 'dumb' }, true, false],
])('%s decides whether to use colours', (_what, env, isTTY, colour) => {
  expect(screenOf({ env, stdout: { write: () => undefined, isTTY, columns: 80 } }).colour).toBe(colour);
});
