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
} as unknown as ClaimedDecision;

const NODES = { id: { id: 'id', type: 'Suspend', phase: 'Running', startedAt: '2026-11-28T12:01:00Z' } };

test.each<[string, object]>([
  ['plain', { nodes: NODES }],
  ['packed', { compressedNodes: gzipSync(JSON.stringify(NODES)).toString('base64') }],
])('a decision is not for the same node when it waits again: %s', async (_form, nodes) => {
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
  ['ours, whose answer was lost', { phase: 'Succeeded', message: 'approved by ada' }, {}, { kind: 'applied' }],
  ['somebody else’s', { phase: 'Succeeded' }, {}, { kind: 'gone', reason: 'it was decided elsewhere' }],
  ['nobody’s', { phase: 'Failed' }, { shutdown: 'Stop' }, { kind: 'gone', reason: 'the workflow is ending' }],
])('what the workflow says tells whose the decision is: %s', async (_whose, node, spec, expected) => {
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
