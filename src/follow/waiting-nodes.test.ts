import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { readNodes, type WorkflowNode } from '../clients/argo/workflow-nodes.ts';
import { waitingOf } from './waiting-nodes.ts';

const GATE = { name: 'gate', suspend: {}, annotations: { 'facteur.proompteng.ai/quorum': '2' } };

function node(index: number, more: object = {}): object {
  const name = `w[0].step-${String(index).padStart(2, '0')}`;
  return {
    id: `w-${index}`,
    name,
    displayName: `step-${index}`,
    type: 'Suspend',
    phase: 'Running',
    templateName: 'gate',
    startedAt: '2026-11-01T10:00:00Z',
    ...more,
  };
}

function status(nodes: readonly object[], template: object = GATE): Readonly<Record<string, unknown>> {
  const byId = Object.fromEntries(nodes.map((one, index) => [`w-${index}`, one]));
  return { phase: 'Running', nodes: byId, storedWorkflowTemplateSpec: { templates: [template] } };
}

test('returns the first 20 of 30 waiting nodes', () => {
  const waiting = waitingOf({}, status(Array.from({ length: 30 }, (_, index) => node(index))));
  expect(waiting.map(({ node: name }) => name)).toEqual(Array.from({ length: 20 }, (_, index) => `step-${index}`));
  expect(new Set(waiting.map(({ key }) => key)).size).toBe(20);
  expect(waiting[0]?.rules.quorum).toBe(2);
});

test('a node that starts to wait later replaces no other, whatever its name', () => {
  const first = Array.from({ length: 20 }, (_, index) => node(index));
  const late = node(20, { name: 'w[0].a', displayName: 'a', startedAt: '2026-11-01T10:00:01Z' });
  expect(waitingOf({}, status([...first, late]))).toEqual(waitingOf({}, status(first)));
});

test('a node that waits a second time is another approval', () => {
  const [first] = waitingOf({}, status([node(0)]));
  const [second] = waitingOf({}, status([node(0, { startedAt: '2026-11-01T11:00:00Z' })]));
  expect(first?.key).not.toBe(second?.key);
});

test.each<[string, object, object, object]>([
  ['that is over', { spec: {} }, node(0), { phase: 'Failed' }],
  ['that is being stopped', { spec: { shutdown: 'Stop' } }, node(0), {}],
  ['whose node was decided', { spec: {} }, node(0, { phase: 'Succeeded' }), {}],
  ['whose node is a pod', { spec: {} }, node(0, { type: 'Pod' }), {}],
])('a workflow %s waits for no approval', (_what, { spec }: { spec?: object }, one, more) => {
  expect(waitingOf({ ...spec }, { ...status([one]), ...more })).toEqual([]);
});

describe('in a stopped workflow, only exit handlers wait', () => {
  const inside = (name: string, boundaryID: string, more: object = {}) =>
    node(0, { id: name, name, displayName: name, boundaryID, ...more });
  const nodes = [
    inside('w', '', { type: 'Steps' }),
    inside('work', 'w'),
    inside('build.onExit', 'w'),
    inside('w.onExit', '', { type: 'Steps' }),
    inside('group', 'w.onExit', { type: 'DAG' }),
    inside('clean', 'group'),
    inside('lost', 'nobody'),
    inside('circle', 'circle'),
  ];
  const { nodes: _unnamed, ...rest } = status([]);
  const stopped = { ...rest, nodes: Object.fromEntries(nodes.map((one) => [(one as { id: string }).id, one])) };
  const asks = (shutdown: string) => waitingOf({ shutdown }, stopped).map(({ node: name }) => name);

  test('those of the workflow, at any depth, and of its steps', () => {
    expect(asks('Stop')).toEqual(['build.onExit', 'clean']);
    expect(waitingOf({ suspend: true }, stopped)).toHaveLength(6);
  });

  test('and none in a terminated workflow', () => {
    expect(asks('Terminate')).toEqual([]);
  });
});

test('a node with a duration waits for no approval unless it has rules', () => {
  const sleep = { name: 'gate', suspend: { duration: '10s' } };
  expect(waitingOf({}, status([node(0)], sleep))).toEqual([]);
  expect(waitingOf({}, status([node(0)], { ...GATE, ...sleep }))).toHaveLength(1);
});

test('reads annotations from the metadata of the template, as in Argo 3.6', () => {
  const { annotations, ...rest } = GATE;
  expect(waitingOf({}, status([node(0)], { ...rest, metadata: { annotations } }))[0]?.rules.quorum).toBe(2);
});

test('a suspended workflow and one with offloaded or too large nodes wait as a whole', () => {
  expect(waitingOf({ suspend: true }, status([]))).toMatchObject([{ kind: 'suspended', key: 'suspended' }]);
  const { nodes: _nodes, ...elsewhere } = { ...status([]), offloadNodeStatusVersion: 'fnv:1' } as Record<
    string,
    unknown
  >;
  expect(waitingOf({}, elsewhere)).toMatchObject([{ kind: 'offloaded' }]);
  const packed = (length: number) => {
    const compressed = gzipSync(JSON.stringify({ 'w-0': node(0, { message: 'x'.repeat(length) }) }));
    return { ...elsewhere, offloadNodeStatusVersion: '', compressedNodes: compressed.toString('base64') };
  };
  expect(waitingOf({}, packed(9 * 1024 * 1024))).toMatchObject([{ kind: 'offloaded' }]);
  expect(waitingOf({}, packed(5 * 1024 * 1024))).toMatchObject([{ kind: 'node', nodeId: 'w-0' }]);
  expect(waitingOf({}, { ...elsewhere, storedWorkflowTemplateSpec: { templates: [{ name: 'pod' }] } })).toEqual([]);
});

test('a node approves at its deadline only with a value for each output', () => {
  const rules = { annotations: { 'facteur.proompteng.ai/on-timeout': 'approve' } };
  const asks = (preset: object) => ({
    inputs: { parameters: [{ name: 'to', ...preset }] },
    outputs: { parameters: [{ name: 'to', valueFrom: { supplied: {} } }] },
  });
  const seen = (preset: object) => waitingOf({}, status([node(0, asks(preset))], { ...GATE, ...rules }))[0]?.rules;
  expect(seen({ default: 'blue' })).toMatchObject({ onTimeout: 'approve', timeoutOutputs: { to: 'blue' } });
  expect(seen({})).toMatchObject({ onTimeout: 'reject', timeoutOutputs: {} });
});

test('a node with an invalid annotation does not approve at its deadline', () => {
  const annotations = { 'facteur.proompteng.ai/on-timeout': 'approve', 'facteur.proompteng.ai/quorum': 'two' };
  const [seen] = waitingOf({}, status([node(0)], { ...GATE, annotations }));
  expect(seen?.rules).toMatchObject({ onTimeout: 'reject', problem: expect.stringContaining('quorum') as string });
});

describe('values that cannot be supplied', () => {
  const asking = (input: object) =>
    node(0, {
      inputs: { parameters: [{ name: 'to', ...input }] },
      outputs: { parameters: [{ name: 'to', valueFrom: { supplied: {} } }] },
    });

  test.each<[string, object]>([
    [
      'in a list from a step',
      { value: JSON.stringify({ enum: ['blue', 'a\0b', '\ud800', '{{=1}}', 'x'.repeat(4001)] }) },
    ],
    ['in the enum of the template', { enum: ['blue', 'a\0b', '\udc00'], default: 'a\0b' }],
    ['as a default', { enum: ['blue'], default: '\ud800' }],
  ])('%s, are removed', (_what, input) => {
    const [seen] = waitingOf({}, status([asking(input)]));
    expect(seen).toMatchObject({ fields: [{ choices: ['blue'], preset: null }], rules: { problem: '' } });
    expect(JSON.stringify(seen)).not.toMatch(/\\u(?:0000|d[89a-f])/);
  });

  test('a field without usable values has no choices and a problem, instead of accepting any value', () => {
    const [seen] = waitingOf({}, status([asking({ enum: ['{{=1}}'] })]));
    expect(seen).toMatchObject({ fields: [{ choices: [] }], rules: { problem: 'no usable value for to' } });
  });
});

describe('a template without a name is inline in its step or task', () => {
  const rules = (message: string) => ({ 'facteur.proompteng.ai/approval-message': message });
  const inline = (message: string) => ({ annotations: rules(message), suspend: {} });
  const unnamed = (id: string, displayName: string, boundaryID: string, type = 'Suspend') =>
    node(0, { id, name: id, displayName, boundaryID, type, templateName: undefined });
  const templates = [
    {
      name: 'main',
      steps: [
        [{ name: 'build', template: 'pod' }],
        [
          { name: 'approve', inline: inline('of a step') },
          { name: 'more', inline: { dag: { tasks: [{ name: 'decide', inline: inline('of a task') }] } } },
        ],
      ],
    },
  ];
  const nodes = {
    w: node(0, { id: 'w', name: 'w', displayName: 'w', type: 'Steps', templateName: 'main' }),
    a: unnamed('a', 'approve(0:blue)', 'w'),
    b: unnamed('b', 'more', 'w', 'DAG'),
    c: unnamed('c', 'decide', 'b'),
    d: unnamed('d', 'circle', 'd'),
    e: unnamed('e', 'build', 'w'),
  };
  const spec = { phase: 'Running', nodes, storedWorkflowTemplateSpec: { templates } };

  test('its rules are found there', () => {
    const asking = waitingOf({}, spec).map(({ node: name, rules: { message, problem } }) => [name, message, problem]);
    expect(asking).toEqual([
      ['approve(0:blue)', 'of a step', ''],
      ['decide', 'of a task', ''],
      ['circle', '', 'unknown template'],
      ['build', '', 'unknown template'],
    ]);
  });
});

/** Counts how often a node is looked up. */
class CountedNodes extends Map<string, WorkflowNode> {
  lookups = 0;

  override get(id: string): WorkflowNode | undefined {
    this.lookups += 1;
    return super.get(id);
  }
}

test.each([
  ['a chain', undefined],
  ['a cycle', 'w-0'],
  ['a chain from an exit handler', 'w.onExit'],
])('visits the nodes of %s a constant number of times', (_shape, last) => {
  const size = 300;
  const chain = Array.from({ length: size }, (_, index) =>
    node(index, { templateName: undefined, boundaryID: index === size - 1 ? last : `w-${index + 1}` }),
  );
  const exit = node(size, { id: 'w.onExit', displayName: 'w.onExit', type: 'Steps' });
  const seen = status([...chain, exit]);
  const nodes = new CountedNodes(readNodes(seen));
  nodes.lookups = 0;
  const waiting = waitingOf({}, seen, nodes);
  expect(nodes.lookups).toBeLessThanOrEqual(3 * size);
  expect(new Set(waiting.map(({ onExit }) => onExit))).toEqual(new Set([last === 'w.onExit']));
});

describe('the rules are those of the template that the node refers to', () => {
  const strict = { ...GATE, annotations: { 'facteur.proompteng.ai/quorum': '3' } };
  const reference = { templateName: undefined, templateRef: { name: 'shared', template: 'gate' } };
  const seen = (storedTemplates: object) =>
    waitingOf({}, { ...status([node(0, reference)]), storedTemplates })[0]?.rules;

  test('not of a template with the same name in the cluster scope or in the workflow', () => {
    expect(seen({ 'cluster/shared/gate': GATE, 'namespaced/shared/gate': strict })?.quorum).toBe(3);
    expect(seen({ 'namespaced/other/gate': strict })?.problem).toBe('unknown template');
  });
});
