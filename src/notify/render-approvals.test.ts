import { expect, test } from 'vitest';
import { after, CREATED, sceneOf, type MessageScene } from '../../test/support/message-scenes.ts';
import { TIMEOUT_ACTOR } from '../domain/approval.ts';
import type { ShownRun } from './shown-run.ts';

const APPROVAL: ShownRun['approvals'][number] = {
  key: '00000000000000a1',
  kind: 'node',
  node: 'approve',
  state: 'waiting',
  fields: [],
  rules: {
    approvers: [],
    message: 'Roll out to production?',
    timeoutSeconds: 3600,
    onTimeout: 'reject',
    selfApproval: false,
    quorum: 1,
    reason: 'optional',
    channel: '',
    problem: '',
    timeoutOutputs: {},
  },
  votes: {},
  verdict: null,
  decidedBy: '',
  problem: '',
  expiresAt: '2026-11-21T13:00:00.000Z',
};
const RUNNING: Partial<ShownRun> = { ...CREATED, state: 'running', progress: '3/7' };
const REJECTED: Partial<ShownRun> = {
  ...CREATED,
  state: 'failed',
  finishedAt: after(300),
  reason: 'approve: rejected',
};

const SCENES: readonly MessageScene[] = [
  ['waiting for approval', { ...RUNNING, approvals: [APPROVAL] }],
  [
    'waiting for the second of two approvals',
    {
      ...RUNNING,
      approvals: [
        {
          ...APPROVAL,
          rules: { ...APPROVAL.rules, quorum: 2 },
          votes: { '200000000000000002': { name: 'ada', at: '2026-11-21T12:01:00Z' } },
        },
      ],
    },
  ],
  [
    'waiting for two approvals at once',
    { ...RUNNING, approvals: [APPROVAL, { ...APPROVAL, key: '00000000000000a2', node: 'migrate' }] },
  ],
  [
    'waiting for an approval whose template has invalid annotations',
    { ...RUNNING, approvals: [{ ...APPROVAL, rules: { ...APPROVAL.rules, problem: 'quorum: must be a number' } }] },
  ],
  [
    'waiting for two approvals, one of which has invalid annotations',
    {
      ...RUNNING,
      approvals: [
        { ...APPROVAL, rules: { ...APPROVAL.rules, problem: 'quorum: must be a number' } },
        { ...APPROVAL, key: '00000000000000a2', node: 'migrate' },
      ],
    },
  ],
  [
    'approved, and the cluster does not take it yet',
    {
      ...RUNNING,
      approvals: [{ ...APPROVAL, state: 'deciding', verdict: 'approved', decidedBy: 'bob', problem: 'no answer' }],
    },
  ],
  [
    'approved, and running on',
    {
      ...RUNNING,
      step: 'deploy',
      approvals: [{ ...APPROVAL, state: 'approved', verdict: 'approved', decidedBy: 'bob' }],
    },
  ],
  [
    'approved by two',
    {
      ...RUNNING,
      step: 'deploy',
      approvals: [
        {
          ...APPROVAL,
          rules: { ...APPROVAL.rules, quorum: 2 },
          votes: {
            '200000000000000002': { name: 'bob', at: '2026-11-21T12:02:00Z' },
            '200000000000000003': { name: 'ada', at: '2026-11-21T12:01:00Z' },
          },
          state: 'approved',
          verdict: 'approved',
          decidedBy: 'bob',
        },
      ],
    },
  ],
  ['rejected', { ...REJECTED, approvals: [{ ...APPROVAL, state: 'rejected', verdict: 'rejected', decidedBy: 'bob' }] }],
  [
    'not decided in time',
    { ...REJECTED, approvals: [{ ...APPROVAL, state: 'rejected', verdict: 'rejected', decidedBy: TIMEOUT_ACTOR }] },
  ],
  ['suspended by somebody', { ...RUNNING, approvals: [{ ...APPROVAL, kind: 'suspended', node: '' }] }],
];

test('the message of every state of an approval matches its snapshot', async () => {
  await expect(SCENES.map(sceneOf).join('\n')).toMatchFileSnapshot('../../test/fixtures/discord/approval-messages.txt');
});
