import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { failingStep, failingStepMessage } from './failing-step.ts';

type Json = ReturnType<typeof JSON.parse>;

const FAILED: Json = JSON.parse(readFileSync('test/fixtures/argo/failed-workflows.json', 'utf8'));

describe('a workflow that failed on a real controller', () => {
  test.each([
    ['dag-leaf', 'unit: main: Error (exit code 1)', 'beside a task that failed later, under continueOn'],
    ['dag-elsewhere', 'unit: main: Error (exit code 1)', 'the same, in a template of another workflow template'],
    ['dag-nested', 'after: main: Error (exit code 1)', 'after a task whose inner failure was ignored'],
    ['dag-depends', 'main: main: Error (exit code 1)', 'beside a task whose failure another task expected'],
    ['dag-items', 'i(0:a)(1): main: Error (exit code 5)', 'in the last attempt of a loop item'],
    ['steps-nested', 'real: main: Error (exit code 1)', 'after a step whose inner failure was ignored'],
    ['steps-retry', 'r(1): main: Error (exit code 5)', 'in the last attempt, with an exit hook that failed later'],
    ['steps-items', 'i(0:a): main: Error (exit code 1)', 'in a loop item'],
    ['exit-only', 'page: main: Error (exit code 3)', 'only in the exit handler'],
    ['exit-both', 's: main: Error (exit code 1)', 'before the exit handler failed, too'],
    ['wf-hook', 's: main: Error (exit code 1)', 'before hooks of the step and of the workflow failed'],
    ['root-retry', 'root-retry(1): main: Error (exit code 5)', 'as a whole, in the last attempt'],
    ['cset', 'main: Error (exit code 7)', 'in a container of a container set'],
    ['timeout', 'a: timeout', 'in a step that timed out'],
    ['refused', 'a: pods "refused-a-548872192" is forbidden: error looking up', 'in a step whose pod was rejected'],
    [
      'when-bad',
      "failed to resolve references: Invalid 'when' expression '(((': Unbalanced parenthesis",
      'before any step',
    ],
  ])('%s: %s, %s', (name, message) => {
    expect(failingStepMessage(FAILED[name])).toContain(message);
  });
});

describe('the nodes of a larger workflow', () => {
  const status = FAILED['dag-leaf'];
  const json = JSON.stringify(status.nodes);
  const packed = (bytes: Buffer): object => ({
    ...status,
    nodes: undefined,
    compressedNodes: bytes.toString('base64'),
  });

  test.each([
    ['gzip', gzipSync(json)],
    ['zstd', zstdCompressSync(json)],
    ['brotli', brotliCompressSync(json)],
  ])('are read if compressed with %s', (_with, bytes) => {
    expect(failingStepMessage({ ...packed(bytes) })).toBe('unit: main: Error (exit code 1)');
  });

  const zeros = Buffer.alloc(64 * 1024 * 1024);
  test.each([
    ['gzip', gzipSync(zeros)],
    ['zstd', zstdCompressSync(zeros)],
    ['brotli', brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
  ])('are ignored if they are a compression bomb: %s', (_with, bytes) => {
    expect(failingStep({ ...packed(bytes) })).toBeUndefined();
  });
});

describe('a step without a message', () => {
  const pod = { id: 'w-1', name: 'w[0].a', displayName: 'a', type: 'Pod', phase: 'Failed' };
  const root = { id: 'w', name: 'w', displayName: 'w', type: 'Steps', phase: 'Failed', message: "child 'w-1' failed" };

  test('takes the message of the nearest node around it', () => {
    const retry = { ...pod, type: 'Retry', message: 'No more retries left', children: ['w-2'] };
    const attempt = { ...pod, id: 'w-2', name: 'w[0].a(0)', displayName: 'a(0)' };
    expect(failingStepMessage({ nodes: { root, retry, attempt } })).toBe('a(0): No more retries left');
  });

  test('takes the message of the workflow, or says that there is none', () => {
    const nodes = { root, pod };
    expect(failingStepMessage({ nodes, message: 'stopped by a policy' })).toBe('a: stopped by a policy');
    expect(failingStepMessage({ nodes, message: "child 'w-1' failed" })).toBe('a: failed without a message');
  });
});

test('terminates for nodes that blame each other or form a cycle', () => {
  const link = (id: string, other: string) => ({ id, phase: 'Failed', message: `child '${other}' failed` });
  const nodes = { w: { ...link('w', 'b'), name: 'w' }, a: link('a', 'b'), b: link('b', 'a') };
  expect(failingStep({ nodes })).toBeDefined();
  const task = (name: string, ...children: string[]) => {
    return { id: name, name: `w.${name}`, boundaryID: 'w', type: 'Pod', phase: 'Omitted', children };
  };
  const dag = { id: 'w', name: 'w', type: 'DAG', phase: 'Failed', message: 'odd' };
  const failing = { ...task('c', 'a'), phase: 'Failed' };
  expect(failingStep({ nodes: { dag, a: task('a', 'b'), b: task('b', 'a'), failing } })?.message).toBe('odd');
});

test('handles a DAG of ten thousand omitted tasks in diamonds', () => {
  const LAYERS = 5000;
  const task = (name: string, phase: string, children: string[]) => {
    return { id: name, name: `w.${name}`, boundaryID: 'w', type: 'Pod', phase, children };
  };
  const nodes = Array.from({ length: LAYERS }, (_, layer) =>
    ['l', 'r'].map((side) =>
      task(`${side}${layer}`, layer === 0 ? 'Failed' : 'Omitted', [`l${layer + 1}`, `r${layer + 1}`]),
    ),
  ).flat();
  const dag = { id: 'w', name: 'w', type: 'DAG', phase: 'Failed' };
  expect(failingStep({ nodes: Object.fromEntries([dag, ...nodes].entries()) })?.node.name).toBe('w.l0');
});

test('handles anything that a cluster may send', () => {
  const key = fc.constantFrom(
    'id',
    'name',
    'type',
    'phase',
    'message',
    'boundaryID',
    'children',
    'nodeFlag',
    'dag',
    'tasks',
  );
  const value = fc.oneof(fc.constantFrom('w', 'w.a', 'DAG', 'Retry', 'Failed', "child 'w' failed"), fc.anything());
  const node = fc.dictionary(key, value);
  fc.assert(
    fc.property(fc.array(node), fc.dictionary(key, node), (nodes, storedTemplates) => {
      const status = {
        nodes: { ...Object.fromEntries(nodes.entries()), w: { id: 'w', name: 'w', type: 'DAG', phase: 'Failed' } },
        storedTemplates,
      };
      expect(typeof failingStepMessage(status)).toBe('string');
    }),
  );
});
