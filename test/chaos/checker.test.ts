import { expect, test } from 'vitest';
import { BROKEN_BUILDS, makeBrokenBuild } from './broken-builds.ts';
import { check, type ChaosHistory, type RunRecord } from './checker.ts';

const RUN: RunRecord = {
  runId: 'r1',
  deliveryId: 'd1',
  state: 'succeeded',
  sharedState: 'succeeded',
  workflowName: 'plan-1',
  workflowUid: 'u1',
  isOpen: false,
  changes: [
    { from: null, to: 'queued' },
    { from: 'queued', to: 'submitted' },
    { from: 'submitted', to: 'running' },
    { from: 'running', to: 'succeeded' },
  ],
};
const ACCEPTED = { runId: 'r1', workflowName: 'plan-1' };
const event = (kind: string, phase: string) => ({ kind, name: 'plan-1', uid: 'u1', phase, deliveryId: 'd1' });

const GOOD: ChaosHistory = {
  deliveries: ['d1', 'never accepted'],
  answers: [
    { deliveryId: 'd1', status: 202, body: { ...ACCEPTED, status: 'queued', duplicate: false } },
    { deliveryId: 'd1', status: 202, body: { ...ACCEPTED, status: 'submitted', duplicate: true } },
  ],
  runs: [RUN],
  cluster: [event('create', ''), event('state', 'Running'), event('state', 'Succeeded')],
  watches: [
    { atMs: 0, open: 1 },
    { atMs: 1000, open: 2 },
    { atMs: 3000, open: 1 },
    { atMs: 9000, open: 1 },
  ],
};

test('finds nothing in a good history', () => {
  expect(check(GOOD)).toEqual([]);
});

const changed = (change: Partial<RunRecord>): Partial<ChaosHistory> => ({ runs: [{ ...RUN, ...change }] });
const answered = (status: number, body: Record<string, unknown>): Partial<ChaosHistory> => ({
  answers: [...GOOD.answers, { deliveryId: 'd1', status, body }],
});

const BROKEN: readonly [string, Partial<ChaosHistory>, promise: string, text: string][] = [
  ['an accepted delivery without a row', { runs: [], cluster: [] }, 'none lost', 'is not in the ledger'],
  [
    'a run that never ends',
    changed({ state: 'running', sharedState: 'running', changes: RUN.changes.slice(0, 3) }),
    'none lost',
    'came to rest as running',
  ],
  ['a run without a workflow', { cluster: [] }, 'none lost', 'has no workflow'],
  ['two runs of one delivery', { runs: [RUN, { ...RUN, runId: 'r2' }] }, 'one workflow', 'has 2 runs'],
  [
    'two workflows of one delivery',
    { cluster: [...GOOD.cluster, { ...event('create', ''), name: 'plan-2' }] },
    'one workflow',
    'has 2 workflows',
  ],
  [
    'a workflow without a delivery',
    { cluster: [...GOOD.cluster, { ...event('create', ''), deliveryId: undefined }] },
    'one workflow',
    'is of no delivery',
  ],
  [
    'a run without a delivery',
    { runs: [RUN, { ...RUN, runId: 'r2', deliveryId: 'd9' }] },
    'one workflow',
    'which nobody sent',
  ],
  [
    'a state that moved backwards',
    changed({ changes: [...RUN.changes, { from: 'succeeded', to: 'running' }, { from: 'running', to: 'succeeded' }] }),
    'no state backwards',
    'moved from succeeded to running',
  ],
  [
    'a missing change',
    changed({ changes: RUN.changes.toSpliced(1, 1) }),
    'no state backwards',
    'went on from submitted when it was queued',
  ],
  [
    'a state without a recorded change',
    changed({ changes: RUN.changes.slice(0, 3) }),
    'no state backwards',
    'its last change was to running',
  ],
  [
    'a run that starts in a later state',
    changed({ changes: [{ from: null, to: 'succeeded' }] }),
    'no state backwards',
    'moved from null to succeeded',
  ],
  [
    'answers that differ',
    answered(202, { ...ACCEPTED, workflowName: 'plan-2', duplicate: true }),
    'answers agree',
    'in 2 ways',
  ],
  [
    'a delivery that is new twice',
    answered(202, { ...ACCEPTED, duplicate: false }),
    'answers agree',
    'was new 2 times',
  ],
  ['an answer other than 202', answered(500, ACCEPTED), 'answers agree', 'was answered 500'],
  ['an answer without a run', answered(202, {}), 'answers agree', 'without a run'],
  ['an ended run that is still open', changed({ isOpen: true }), 'ledger is true', 'and is open'],
  ['another state for other readers', changed({ sharedState: 'failed' }), 'ledger is true', 'is failed for others'],
  [
    'another end than that of the workflow',
    { cluster: [event('create', ''), event('state', 'Failed')] },
    'ledger is true',
    'its workflow as Failed',
  ],
  ['the uid of another workflow', changed({ workflowUid: 'u2' }), 'ledger is true', 'knows the workflow plan-1 u2'],
  [
    'two followers for a long time',
    {
      watches: [
        { atMs: 0, open: 2 },
        { atMs: 9000, open: 1 },
      ],
    },
    'one follower',
    '9000 ms',
  ],
  [
    'two followers until the end',
    {
      watches: [
        { atMs: 0, open: 2 },
        { atMs: 9000, open: 2 },
      ],
    },
    'one follower',
    '9000 ms',
  ],
];

test.each(BROKEN)('finds %s', (_what, change, promise, text) => {
  expect(check({ ...GOOD, ...change })).toContainEqual({ promise, text: expect.stringContaining(text) });
});

test('fails for a patch that no longer matches the source', () => {
  const patch = { ...BROKEN_BUILDS['no lease'], find: 'no such text' };
  expect(() => makeBrokenBuild(patch)).toThrow('stands 0 times in src/ledger/leases.ts');
});
