import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { ArgoError } from '../clients/argo/errors.ts';
import type { Workflow } from '../clients/argo/workflows.ts';
import type { ClaimedDecision } from '../ledger/approval-queue.ts';
import { decideOnce } from './decide-once.ts';

const DECISION = {
  namespace: 'argo',
  workflowName: 'plan-1',
  workflowUid: 'uid',
  nodeId: 'id',
  startedAt: '2026-11-28T12:00:00Z',
  verdict: 'approved',
  decidedBy: 'ada',
  decidedAt: new Date('2026-11-28T12:05:00Z'),
  reason: '',
  outputs: {},
  attempts: 1,
} as unknown as ClaimedDecision;

const NODES = { id: { id: 'id', type: 'Suspend', phase: 'Running', startedAt: '2026-11-28T12:01:00Z' } };

test.each<[string, object]>([
  ['plain', { nodes: NODES }],
  ['compressed', { compressedNodes: gzipSync(JSON.stringify(NODES)).toString('base64') }],
])('a decision does not apply to a node that waits again: %s nodes', async (_form, nodes) => {
  const writes: unknown[] = [];
  const workflow = { metadata: { uid: 'uid', resourceVersion: '7' }, status: { phase: 'Running', ...nodes } };
  const application = await decideOnce(DECISION, {
    patchWorkflowIf: async () => {
      throw new ArgoError('argo.invalid', 'the test failed');
    },
    getWorkflow: async () => workflow as Workflow,
    patchWorkflow: async (_namespace, _name, patch) => {
      writes.push(patch);
      return workflow as Workflow;
    },
  });
  expect(application).toEqual({ kind: 'gone', reason: 'it was decided elsewhere' });
  expect(writes).toEqual([]);
});

test.each<[string, object, object, object]>([
  [
    'our own decision, after a lost answer',
    { phase: 'Succeeded', message: 'approved by ada' },
    {},
    { kind: 'applied' },
  ],
  ['a decision made elsewhere', { phase: 'Succeeded' }, {}, { kind: 'gone', reason: 'it was decided elsewhere' }],
  ['a stop', { phase: 'Failed' }, { shutdown: 'Stop' }, { kind: 'gone', reason: 'the workflow is ending' }],
  [
    'a decision in an exit handler after a stop',
    { phase: 'Succeeded', displayName: 'plan.onExit' },
    { shutdown: 'Stop' },
    { kind: 'gone', reason: 'it was decided elsewhere' },
  ],
  [
    'a termination during an exit handler',
    { phase: 'Failed', displayName: 'plan.onExit' },
    { shutdown: 'Terminate' },
    { kind: 'gone', reason: 'the workflow is ending' },
  ],
])('recognizes who decided from the workflow: %s', async (_whose, node, spec, expected) => {
  const nodes = { id: { ...NODES.id, ...node } };
  const workflow = { metadata: { uid: 'uid' }, spec, status: { phase: 'Running', nodes } };
  const application = await decideOnce(DECISION, {
    patchWorkflowIf: async () => {
      throw new ArgoError('argo.invalid', 'the test failed');
    },
    getWorkflow: async () => workflow as unknown as Workflow,
    patchWorkflow: async () => workflow as unknown as Workflow,
  });
  expect(application).toEqual(expected);
});

test('a rejection by an admission policy postpones the decision, with its message as the reason', async () => {
  const says = 'denied request: only the controller may change workflows';
  const nodes = { id: { ...NODES.id, startedAt: DECISION.startedAt } };
  const application = await decideOnce(DECISION, {
    patchWorkflowIf: async () => {
      throw new ArgoError('argo.invalid', 'cannot change the workflow', { details: says });
    },
    getWorkflow: async () => ({ metadata: { uid: 'uid' }, status: { phase: 'Running', nodes } }) as unknown as Workflow,
    patchWorkflow: async () => {
      throw new Error('its nodes are not packed');
    },
  });
  expect(application).toEqual({ kind: 'postponed', reason: says, afterMs: 0 });
});

test.each<[string, object]>([
  ['offloaded', { offloadNodeStatusVersion: 'fnv:1' }],
  ['too large', { compressedNodes: gzipSync(JSON.stringify({ id: 'x'.repeat(9 * 1024 * 1024) })).toString('base64') }],
])('reports that the steps are unreadable, not that the step is gone, if the nodes are %s', async (_where, status) => {
  const application = await decideOnce(DECISION, {
    patchWorkflowIf: async () => {
      throw new ArgoError('argo.invalid', 'the test failed');
    },
    getWorkflow: async () =>
      ({ metadata: { uid: 'uid' }, status: { phase: 'Running', ...status } }) as unknown as Workflow,
    patchWorkflow: async () => {
      throw new Error('nothing can be written');
    },
  });
  const reason = 'facteur can no longer read the steps of this workflow; decide it in Argo';
  expect(application).toEqual({ kind: 'gone', reason });
});

const GONE = new ArgoError('argo.not_found', 'gone');
const UNKNOWN = expect.stringMatching(/; it is unknown whether the decision had reached it$/);

test.each<[string, object | ArgoError, object]>([
  ['it was applied', { phase: 'Succeeded', message: 'approved by ada' }, { kind: 'applied' }],
  ['it still waits', { startedAt: DECISION.startedAt }, { kind: 'postponed' }],
  ['it was stopped', { phase: 'Failed' }, { kind: 'gone', reason: 'the run was canceled' }],
  ['the workflow was deleted', GONE, { kind: 'gone', reason: UNKNOWN }],
])('after a cancel during a write, the workflow shows the outcome: %s', async (_what, node, expected) => {
  const unexpected = async (): Promise<never> => {
    throw new Error('nothing is written any more');
  };
  const application = await decideOnce(
    { ...DECISION, dropped: true, attempts: 2 },
    {
      patchWorkflowIf: unexpected,
      patchWorkflow: unexpected,
      getWorkflow: async () => {
        if (node instanceof ArgoError) {
          throw node;
        }
        const nodes = { id: { ...NODES.id, ...node } };
        return { metadata: { uid: 'uid' }, status: { phase: 'Running', nodes } } as unknown as Workflow;
      },
    },
  );
  expect(application).toMatchObject(expected);
});

test.each([
  [1, 'the workflow no longer exists'],
  [2, UNKNOWN],
])('attempt %d on a deleted workflow: the reason says whether its outcome is unknown', async (attempts, reason) => {
  const gone = async (): Promise<never> => {
    throw GONE;
  };
  const workflows = { patchWorkflowIf: gone, patchWorkflow: gone, getWorkflow: gone };
  expect(await decideOnce({ ...DECISION, attempts }, workflows)).toEqual({ kind: 'gone', reason });
});
