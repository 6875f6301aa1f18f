import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Workflow } from '../clients/argo/workflows.ts';
import { observe } from './observe.ts';

function workflow(status: object, spec: object = {}, metadata: object = {}): Workflow {
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Workflow',
    metadata: { namespace: 'argo', name: 'w', uid: 'u1', resourceVersion: '42', ...metadata },
    spec,
    status,
  };
}

const pod = (id: string, fields: object) => ({ id, displayName: id, type: 'Pod', ...fields });
const byId = (nodes: { id: string }[]) => Object.fromEntries(nodes.map((node) => [node.id, node]));

describe('state', () => {
  test.each([
    [undefined, 'submitted'],
    ['', 'submitted'],
    ['Pending', 'submitted'],
    ['Running', 'running'],
    ['Succeeded', 'succeeded'],
    ['Failed', 'failed'],
    ['Error', 'error'],
    ['constructor', 'submitted'],
    [{ odd: true }, 'submitted'],
  ])('phase %j is %s', (phase, state) => {
    expect(observe(workflow({ phase })).state).toBe(state);
  });

  test.each([
    ['Stop', 'Failed', 'canceled'],
    ['Terminate', 'Error', 'canceled'],
    ['Stop', 'Running', 'running'],
    ['Stop', 'Succeeded', 'succeeded'],
    ['', 'Failed', 'failed'],
  ])('shutdown %j in phase %s is %s', (shutdown, phase, state) => {
    expect(observe(workflow({ phase }, { shutdown })).state).toBe(state);
  });

  test.each([
    ['Failed', 'canceled'],
    ['Succeeded', 'succeeded'],
  ])('phase Succeeded of a terminated workflow with root node %s is %s', (phase, state) => {
    const nodes = { w: pod('w', { name: 'w', phase }) };
    expect(observe(workflow({ phase: 'Succeeded', nodes }, { shutdown: 'Terminate' })).state).toBe(state);
  });
});

test.each([
  [
    'the step that started last',
    {
      phase: 'Running',
      nodes: { a: stepOf('a', 'Succeeded', 1), c: stepOf('c', 'Running', 3), b: stepOf('b', 'Running', 2) },
    },
    'c',
  ],
  [
    'a step that waits for approval',
    { phase: 'Running', nodes: { a: { ...stepOf('ask', 'Running', 1), type: 'Suspend' } } },
    'ask (suspended)',
  ],
  [
    'a step that waits for a lock, if no other is running',
    {
      phase: 'Running',
      nodes: {
        a: stepOf('a', 'Succeeded', 1),
        b: { ...stepOf('b', 'Pending', 2), synchronizationStatus: { waiting: 'argo/Mutex/deploy' } },
      },
    },
    'b (waiting for lock argo/Mutex/deploy)',
  ],
  [
    'the running step if another waits for a lock',
    {
      phase: 'Running',
      nodes: {
        a: stepOf('a', 'Running', 1),
        b: { ...stepOf('b', 'Pending', 2), synchronizationStatus: { waiting: 'argo/Mutex/deploy' } },
      },
    },
    'a',
  ],
  [
    'a step whose pod cannot start, if no other is running',
    {
      phase: 'Running',
      nodes: {
        a: { ...stepOf('a', 'Pending', 1), message: 'ContainerCreating' },
        b: { ...stepOf('b', 'Pending', 2), message: 'ImagePullBackOff: Back-off pulling image "b"' },
      },
    },
    'b (ImagePullBackOff: Back-off pulling image "b")',
  ],
  [
    'the running step if the pod of another cannot start',
    {
      phase: 'Running',
      nodes: {
        a: stepOf('a', 'Running', 1),
        b: { ...stepOf('b', 'Pending', 2), message: 'Unschedulable: 0/3 nodes are available' },
      },
    },
    'a',
  ],
  [
    'no step if only a group of steps is running',
    { phase: 'Running', nodes: { a: { ...stepOf('a', 'Running', 1), type: 'Steps' } } },
    '',
  ],
  [
    'the reason why it has not started',
    { phase: 'Pending', message: 'Waiting for argo/Mutex/deploy lock.' },
    'Waiting for argo/Mutex/deploy lock.',
  ],
  ['no step once it has ended', { phase: 'Failed', nodes: { a: stepOf('a', 'Running', 1) } }, ''],
])('the step of a workflow is %s', (_what, status, step) => {
  expect(observe(workflow(status)).step).toBe(step);
});

function stepOf(displayName: string, phase: string, second: number): object {
  return {
    id: displayName,
    name: `w.${displayName}`,
    displayName,
    type: 'Pod',
    phase,
    startedAt: `2026-11-01T10:00:0${second}Z`,
  };
}

test('reads all other fields of a workflow', () => {
  const seen = observe(
    workflow(
      {
        phase: 'Succeeded',
        progress: '3/3',
        message: 'not a reason',
        startedAt: '2026-11-01T10:00:00Z',
        finishedAt: '2026-11-01T10:05:00Z',
        outputs: { parameters: [{ name: 'summary', value: 'ok' }] },
        resourcesDuration: { cpu: 12, memory: 30, odd: 'x', 'a\u0000b': 1 },
      },
      {},
      { labels: { 'facteur.proompteng.ai/delivery': 'abc' } },
    ),
  );
  expect(seen).toEqual({
    namespace: 'argo',
    name: 'w',
    uid: 'u1',
    deliveryLabel: 'abc',
    version: 42n,
    state: 'succeeded',
    progress: '3/3',
    reason: '',
    startedAt: new Date('2026-11-01T10:00:00Z'),
    finishedAt: new Date('2026-11-01T10:05:00Z'),
    resources: { cpu: 12, memory: 30 },
    step: '',
    results: [{ name: 'summary', value: 'ok' }],
    confirmed: false,
    shutdown: '',
    waiting: [],
    lapses: {},
  });
});

test('Go’s zero time and invalid times are unknown', () => {
  for (const startedAt of [null, '0001-01-01T00:00:00Z', 'soon', 17, undefined]) {
    expect(observe(workflow({ startedAt })).startedAt).toBeUndefined();
  }
});

test('a resource version beyond the range of Postgres is unknown', () => {
  for (const resourceVersion of ['', 'abc', '9223372036854775808', '-1', 7, undefined]) {
    expect(observe(workflow({}, {}, { resourceVersion })).version).toBeUndefined();
  }
  expect(observe(workflow({}, {}, { resourceVersion: '9223372036854775807' })).version).toBe(2n ** 63n - 1n);
});

describe('reason', () => {
  const failed = (status: object): string => observe(workflow({ phase: 'Failed', ...status })).reason;

  test('is the message of the failing step, not of its parent nodes', () => {
    const nodes = byId([
      { id: 'w', type: 'Steps', phase: 'Failed', message: "child 'build' failed" } as { id: string },
      pod('fetch', { phase: 'Succeeded', message: '' }),
      pod('build', { phase: 'Failed', message: 'main: Error (exit code 1)' }),
    ]);
    expect(failed({ message: "child 'build' failed", nodes })).toBe('build: main: Error (exit code 1)');
  });

  test.each([
    ['offloaded', { offloadNodeStatusVersion: 'fnv:1' }],
    ['broken', { compressedNodes: 'bm90IGd6aXA=' }],
    ['of the wrong type', { compressedNodes: 17, nodes: [null, 3] }],
  ])('falls back to the workflow’s message if the nodes are %s', (_, nodes) => {
    expect(failed({ message: 'child failed', ...nodes })).toBe('child failed');
  });

  test('is never empty for a failure, and empty for everything else', () => {
    expect(failed({})).toBe('no reason given by the cluster');
    expect(observe(workflow({ phase: 'Failed' }, { shutdown: 'Stop' })).reason).toBe('stopped');
    expect(observe(workflow({ phase: 'Running', message: 'busy' })).reason).toBe('');
  });

  test('is one bounded line without credentials', () => {
    expect(failed({ message: 'pull of https://bob:hunter2@registry/x\n\tfailed\u0000' })).toBe(
      'pull of https://***@registry/x failed',
    );
    const message = `main: Error (exit code 1): cannot push with ghp_${'canary'.repeat(6)}`;
    const stopped = observe(workflow({ phase: 'Failed', message }, { shutdown: 'Stop' })).reason;
    expect([failed({ message }), stopped]).toEqual(Array(2).fill('main: Error (exit code 1): cannot push with ***'));
    expect(failed({ message: `${'- '.repeat(235)}ghp_${'canary'.repeat(6)}` })).toMatch(/- \*\*\*$/);
    expect(failed({ message: '😀'.repeat(2000) })).toHaveLength(500);
  });

  test.each([
    [
      'its pod',
      {
        phase: 'Running',
        nodes: byId([pod('a', { phase: 'Pending', message: `no pull with ghp_${'canary'.repeat(6)}` })]),
      },
    ],
    ['the controller', { phase: 'Pending', message: `a (no pull with ghp_${'canary'.repeat(6)})` }],
  ])('and the waiting message of %s has no credentials either', (_who, status) => {
    expect(observe(workflow(status)).step).toBe('a (no pull with ***)');
  });
});

test('accepts anything that a cluster may send', () => {
  const odd = fc.object({
    key: fc.constantFrom('phase', 'nodes', 'message', 'progress', 'startedAt', 'x'),
    maxDepth: 4,
  });
  fc.assert(
    fc.property(odd, odd, fc.anything(), (status, spec, labels) => {
      const seen = observe(workflow(status, spec, { labels }));
      expect(seen.reason.length).toBeLessThanOrEqual(500);
      expect(seen.reason.isWellFormed()).toBe(true);
    }),
  );
  for (const nothing of [null, undefined, 3, 'x', []]) {
    expect(observe(nothing as unknown as Workflow).state).toBe('submitted');
  }
});

test('the reason of a stopped workflow names the failed step of its exit handler', () => {
  const nodes = byId([
    pod('w', { name: 'w', phase: 'Succeeded' }),
    pod('x', { name: 'w.onExit', type: 'Steps', phase: 'Failed', message: "child 'y' failed" }),
    pod('y', { name: 'w.onExit[0].approve', displayName: 'approve', phase: 'Failed', message: 'rejected by ada' }),
  ]);
  const stopped = workflow({ phase: 'Failed', message: "child 'y' failed", nodes }, { shutdown: 'Stop' });
  expect(observe(stopped)).toMatchObject({ state: 'canceled', reason: 'approve: rejected by ada' });
});
