import { brotliCompressSync, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../scripts/cluster/api.ts';
import { failingStepMessage } from '../../src/clients/argo/failing-step.ts';
import type { Json } from '../support/cluster.ts';
import { workflow } from './cluster-cases.ts';
import type { Subject } from './cluster-suite.ts';
import { TEMPLATES } from './workflow-templates.ts';

/** A cluster with a controller that runs workflows. */
export interface RunningSubject extends Subject {
  /** Another namespace, which is empty. */
  readonly emptyNamespace: string;
  /** Limits the number of workflows in the empty namespace; undefined removes the limit. */
  allow(count: number | undefined): Promise<void>;
}

const MERGE = 'application/merge-patch+json';
const COMPLETED = { 'workflows.argoproj.io/completed': 'true' };

/** How Argo's controller runs workflows, as far as facteur reads it; the same for the real and the simulated one. */
export function workflowConformance(subject: () => RunningSubject): void {
  const collection = (resource: string, namespace = subject().namespace): string =>
    `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/${resource}`;
  const read = async (name: string): Promise<Json> => subject().api.call(`${collection('workflows')}/${name}`);
  const phaseOf = async (name: string): Promise<string> => (await read(name)).status?.phase ?? '';

  beforeAll(async () => {
    const { api } = subject();
    for (const [name, { spec }] of Object.entries(TEMPLATES)) {
      await api.send(`${collection('workflowtemplates')}/${name}`, { method: 'DELETE' });
      const template = { apiVersion: 'argoproj.io/v1alpha1', kind: 'WorkflowTemplate', metadata: { name }, spec };
      await api.call(collection('workflowtemplates'), { method: 'POST', body: template });
    }
  });

  async function begin(template: string, parameters: Readonly<Record<string, string>> = {}): Promise<string> {
    const given = Object.entries(parameters).map(([name, value]) => ({ name, value }));
    const spec = { workflowTemplateRef: { name: template }, arguments: { parameters: given } };
    const body = workflow({ generateName: `${template}-` }, spec);
    return (await subject().api.call(collection('workflows'), { method: 'POST', body })).metadata.name;
  }

  /** Runs a workflow to its end. */
  async function run(template: string, parameters: Readonly<Record<string, string>> = {}): Promise<Json> {
    const name = await begin(template, parameters);
    await expect.poll(() => phaseOf(name)).toMatch(/^(Succeeded|Failed|Error)$/);
    return read(name);
  }

  async function patch(name: string, body: object): Promise<void> {
    await subject().api.call(`${collection('workflows')}/${name}`, { method: 'PATCH', contentType: MERGE, body });
  }

  describe('nodes', () => {
    test('of steps: each step is in its own group after the previous one, and a failure is passed upwards', async () => {
      const { metadata, status } = await run('second-step-fails');
      expect(status).toMatchObject({ phase: 'Failed', progress: '1/2' });
      expect(graphOf(metadata.name, status.nodes)).toEqual({
        root: { type: 'Steps', phase: 'Failed', message: "child 'step-2' failed", in: '', children: ['[0]'] },
        '[0]': { type: 'StepGroup', phase: 'Succeeded', message: '', in: 'root', children: ['step-1'] },
        'step-1': { type: 'Pod', phase: 'Succeeded', message: '', in: 'root', children: ['[1]'] },
        '[1]': {
          type: 'StepGroup',
          phase: 'Failed',
          message: "child 'step-2' failed",
          in: 'root',
          children: ['step-2'],
        },
        'step-2': {
          type: 'Pod',
          phase: 'Failed',
          message: expect.stringContaining('broken'),
          in: 'root',
          children: [],
        },
      });
      expect(status.message).toBe(status.nodes[metadata.name].message);
      expect(failingStepMessage(status)).toMatch(/^step-2: .*broken/);
    });

    test('are compressed by the controller if they make the workflow too large', async () => {
      const { status } = await run('large');
      expect(status).toMatchObject({ phase: 'Failed' });
      expect(Object.keys(status.nodes ?? {})).toEqual([]);
      const nodes = JSON.parse(gunzipSync(Buffer.from(status.compressedNodes, 'base64')).toString());
      expect(JSON.stringify(nodes).length).toBeGreaterThan(1024 * 1024);
      expect(failingStepMessage(status)).toMatch(/^step-2: .*broken/);
    });

    // Argo 4.0 compresses with gzip. The API server keeps other formats unchanged.
    test.each([
      ['gzip', gzipSync],
      ['zstd', zstdCompressSync],
      ['brotli', brotliCompressSync],
    ])('compressed with %s are kept unchanged, and the controller ignores a completed workflow', async (kind, pack) => {
      const nodes = { n: { id: 'n', name: 'n', displayName: 'land', type: 'Pod', phase: 'Failed', message: kind } };
      const status = { phase: 'Failed', compressedNodes: pack(JSON.stringify(nodes)).toString('base64') };
      const { metadata } = await subject().api.call(collection('workflows'), {
        method: 'POST',
        body: { ...workflow({ generateName: 'packed-', labels: COMPLETED }), status },
      });
      expect((await run('quick')).status.phase).toBe('Succeeded');
      const kept = await read(metadata.name);
      expect(kept.status).toEqual(status);
      expect(kept.metadata.resourceVersion).toBe(metadata.resourceVersion);
      expect(failingStepMessage(kept.status)).toBe(`land: ${kind}`);
    });
  });

  describe('arguments', () => {
    test('the status keeps the template’s spec, overridden by the workflow’s own', async () => {
      const { spec, status } = await run('with-arguments', { colour: 'blue' });
      const { entrypoint, templates, arguments: stored, workflowTemplateRef } = status.storedWorkflowTemplateSpec;
      expect({ entrypoint, workflowTemplateRef }).toEqual({
        entrypoint: 'main',
        workflowTemplateRef: spec.workflowTemplateRef,
      });
      expect(templates).toMatchObject([{ name: 'main', container: { image: 'none' } }]);
      expect(Object.fromEntries(stored.parameters.map(({ name, value }: Json) => [name, value]))).toEqual({
        size: 'small',
        colour: 'blue',
      });
    });

    test('`enum` of a template is not enforced', async () => {
      expect((await run('with-arguments', { size: 'enormous', colour: 'blue' })).status.phase).toBe('Succeeded');
    });

    test('`default` of a template is ignored: without a `value` the workflow fails before it starts', async () => {
      const { status } = await run('with-arguments');
      expect(status).toMatchObject({
        phase: 'Failed',
        message: 'invalid spec: spec.arguments.colour.value or spec.arguments.colour.valueFrom is required',
      });
      expect(status.nodes ?? {}).toEqual({});
    });

    test('a missing template is an error, and the message names it', async () => {
      const { status } = await run('nowhere');
      expect(status).toMatchObject({ phase: 'Error', message: expect.stringMatching(/"nowhere" not found/) });
    });
  });

  test('a suspended workflow ignores a shutdown until it is resumed', async () => {
    const name = await begin('waiting');
    await expect.poll(() => phaseOf(name)).toBe('Running');
    await patch(name, { spec: { suspend: true } });
    await patch(name, { spec: { shutdown: 'Stop' } });
    // A workflow that the controller processed later has ended by now.
    expect((await run('quick')).status.phase).toBe('Succeeded');
    expect(await phaseOf(name)).toBe('Running');
    await patch(name, { spec: { suspend: null } });
    await expect.poll(() => phaseOf(name)).toBe('Failed');
    expect((await read(name)).status.message).toBe("Stopped with strategy 'Stop'");
  });

  test('a full quota: 403 with its numbers, until there is room', async () => {
    const { api, emptyNamespace, allow } = subject();
    const create = () =>
      api.send(collection('workflows', emptyNamespace), { method: 'POST', body: workflow({ name: 'one' }) });
    await api.send(`${collection('workflows', emptyNamespace)}/one`, { method: 'DELETE' });
    await allow(0);
    try {
      const { status, body } = await eventually(async () => {
        const answer = await create();
        expect((answer.body as Json).message).toContain('exceeded quota');
        return answer;
      });
      expect({ status, body }).toMatchObject({
        status: 403,
        body: {
          kind: 'Status',
          reason: 'Forbidden',
          details: { name: 'one', group: 'argoproj.io', kind: 'workflows' },
        },
      });
      expect((body as Json).message).toMatch(
        /^workflows\.argoproj\.io "one" is forbidden: exceeded quota: few, requested: count\/workflows\.argoproj\.io=1, used: count\/workflows\.argoproj\.io=0, limited: count\/workflows\.argoproj\.io=0$/,
      );
      await allow(1);
      await expect.poll(async () => (await create()).status).toBe(201);
    } finally {
      await allow(undefined);
    }
  });
}

/** The nodes, their relations and their messages, with names instead of ids. */
function graphOf(workflowName: string, nodes: Readonly<Record<string, Json>>): object {
  const title = (id = ''): string => (id === workflowName ? 'root' : (nodes[id]?.displayName ?? ''));
  const about = ({ type, phase, message = '', boundaryID, children = [] }: Json): object => ({
    type,
    phase,
    message: message.replace(/child '([^']+)'/, (_all: string, id: string) => `child '${title(id)}'`),
    in: title(boundaryID),
    children: children.map(title),
  });
  return Object.fromEntries(Object.values(nodes).map((node) => [title(node.id), about(node)]));
}
