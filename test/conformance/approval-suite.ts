import { gunzipSync, gzipSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import { ArgoError } from '../../src/clients/argo/errors.ts';
import type { ArgoClient } from '../../src/clients/argo/workflows.ts';
import { waitingOf } from '../../src/follow/waiting-nodes.ts';
import type { ClaimedDecision } from '../../src/ledger/approval-queue.ts';
import { decideOnce } from '../../src/submit/decide-once.ts';
import type { Json } from '../support/cluster.ts';
import { workflow } from './cluster-cases.ts';
import type { Subject } from './cluster-suite.ts';
import { TEMPLATES } from './workflow-templates.ts';

/** A cluster with a controller, and the pods of its workflows. */
export interface ApprovalSubject extends Subject {
  /** facteur's own client of the cluster. */
  readonly client: ArgoClient;
  /** Removes the finished pods, like the controller's garbage collection. */
  collectPods(workflow: string): Promise<void>;
  /** The number of pods of a step. */
  podsOf(workflow: string, step: string): Promise<number>;
  /** `argo retry`. */
  retry(workflow: string): Promise<void>;
}

const MERGE = 'application/merge-patch+json';
const JSON_PATCH = 'application/json-patch+json';
const FINISHED_AT = '2026-01-01T00:00:00Z';

/** How a suspend node is decided through its status; the same for the real and the simulated controller. */
export function approvalConformance(subject: () => ApprovalSubject): void {
  const collection = (resource: string): string =>
    `/apis/argoproj.io/v1alpha1/namespaces/${subject().namespace}/${resource}`;
  const read = async (name: string): Promise<Json> => subject().api.call(`${collection('workflows')}/${name}`);
  const send = (name: string, contentType: string, body: object) =>
    subject().api.send(`${collection('workflows')}/${name}`, { method: 'PATCH', contentType, body });
  const phaseOf = async (name: string): Promise<string> => (await read(name)).status?.phase ?? '';

  beforeAll(async () => {
    const { api } = subject();
    for (const name of ['release', 'plain', 'large-release', 'lapsing', 'lapsing-with-default']) {
      await api.send(`${collection('workflowtemplates')}/${name}`, { method: 'DELETE' });
      const { spec } = TEMPLATES[name]!;
      const template = { apiVersion: 'argoproj.io/v1alpha1', kind: 'WorkflowTemplate', metadata: { name }, spec };
      await api.call(collection('workflowtemplates'), { method: 'POST', body: template });
    }
  });

  async function begin(template: string): Promise<{ name: string; uid: string }> {
    const body = workflow({ generateName: `${template}-` }, { workflowTemplateRef: { name: template } });
    return (await subject().api.call(collection('workflows'), { method: 'POST', body })).metadata;
  }

  /** A waiting workflow, its waiting node, and its uid. */
  async function waiting(template: string): Promise<{ name: string; uid: string; node: Json }> {
    const { name, uid } = await begin(template);
    await expect.poll(async () => (await nodeOf(name, 'approve'))?.phase).toBe('Running');
    return { name, uid, node: await nodeOf(name, 'approve') };
  }

  async function nodeOf(name: string, displayName: string): Promise<Json> {
    const { status } = await read(name);
    return Object.values<Json>(nodesOf(status)).find((node) => node.displayName === displayName);
  }

  /** The patch that facteur sends. It has no effect unless the node is the one that facteur saw and still waits. */
  function decision(uid: string, node: Json, fields: object): object[] {
    const path = `/status/nodes/${node.id}`;
    return [
      { op: 'test', path: '/metadata/uid', value: uid },
      { op: 'test', path: `${path}/type`, value: 'Suspend' },
      { op: 'test', path: `${path}/phase`, value: 'Running' },
      { op: 'test', path: `${path}/startedAt`, value: node.startedAt },
      ...Object.entries({ finishedAt: FINISHED_AT, ...fields }).map(([field, value]) => ({
        op: 'add',
        path: `${path}/${field}`,
        value,
      })),
    ];
  }

  const YES = { parameters: [{ name: 'decision', value: 'YES' }] };

  test('a waiting node has its inputs and outputs, and the workflow keeps the template with its annotations', async () => {
    const { name, node } = await waiting('release');
    expect(node).toMatchObject({ type: 'Suspend', phase: 'Running', templateName: 'gate' });
    expect(node.id).toMatch(new RegExp(`^${name}-\\d+$`));
    expect(node.inputs.parameters).toEqual([
      { name: 'decision', value: 'NO', default: 'NO', enum: ['YES', 'NO'], description: 'Deploy?' },
      { name: 'version', value: 'v1' },
    ]);
    expect(node.outputs.parameters).toEqual([{ name: 'decision', valueFrom: { supplied: {}, default: 'NO' } }]);
    const { status } = await read(name);
    const template = status.storedWorkflowTemplateSpec.templates.find((one: Json) => one.name === 'gate');
    expect(template.annotations).toEqual({ 'facteur.proompteng.ai/approvers': 'user:10' });
  });

  describe('a JSON Patch that tests uid, phase and start time', () => {
    test('approves: the next step gets the value', async () => {
      const { name, uid, node } = await waiting('release');
      const fields = { phase: 'Succeeded', message: 'approved by ada', outputs: YES };
      expect((await send(name, JSON_PATCH, decision(uid, node, fields))).status).toBe(200);
      await expect.poll(() => phaseOf(name)).toBe('Succeeded');
      expect(await nodeOf(name, 'approve')).toMatchObject({ phase: 'Succeeded', message: 'approved by ada' });
      expect((await nodeOf(name, 'deploy')).inputs.parameters[0]).toMatchObject({ value: 'YES' });
    });

    test('approves a node without parameters', async () => {
      const { name, uid, node } = await waiting('plain');
      expect((await send(name, JSON_PATCH, decision(uid, node, { phase: 'Succeeded' }))).status).toBe(200);
      await expect.poll(() => phaseOf(name)).toBe('Succeeded');
    });

    test('rejects: the workflow fails, with the reason on the node', async () => {
      const { name, uid, node } = await waiting('release');
      const fields = { phase: 'Failed', message: 'rejected by bob: no' };
      expect((await send(name, JSON_PATCH, decision(uid, node, fields))).status).toBe(200);
      await expect.poll(() => phaseOf(name)).toBe('Failed');
      expect((await nodeOf(name, 'approve')).message).toBe('rejected by bob: no');
      expect(await nodeOf(name, 'deploy')).toBeUndefined();
    });

    test('is 422 for a second decision, for another workflow of that name, and for a missing node', async () => {
      const { name, uid, node } = await waiting('release');
      const fields = { phase: 'Failed', message: 'rejected' };
      const refused = { status: 422, body: { kind: 'Status', reason: 'Invalid' } };
      expect(await send(name, JSON_PATCH, decision('other', node, fields))).toMatchObject(refused);
      expect(await send(name, JSON_PATCH, decision(uid, { ...node, id: 'other' }, fields))).toMatchObject(refused);
      expect((await send(name, JSON_PATCH, decision(uid, node, fields))).status).toBe(200);
      expect(await send(name, JSON_PATCH, decision(uid, node, { phase: 'Succeeded' }))).toMatchObject(refused);
      await expect.poll(() => phaseOf(name)).toBe('Failed');
    });

    test('succeeds for exactly one of twenty concurrent requests', async () => {
      const { name, uid, node } = await waiting('plain');
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, number) =>
          send(name, JSON_PATCH, decision(uid, node, { phase: 'Succeeded', message: `by ${number}` })),
        ),
      );
      const taken = answers.flatMap(({ status }, number) => (status === 200 ? [`by ${number}`] : []));
      expect(taken).toHaveLength(1);
      expect(answers.filter(({ status }) => status !== 200).map(({ status }) => status)).toEqual(Array(19).fill(422));
      await expect.poll(() => phaseOf(name)).toBe('Succeeded');
      expect((await nodeOf(name, 'approve')).message).toBe(taken[0]);
    });

    test('with a value outside of the enum succeeds: Argo does not check it', async () => {
      const { name, uid, node } = await waiting('release');
      const outputs = { parameters: [{ name: 'decision', value: 'PERHAPS' }] };
      expect((await send(name, JSON_PATCH, decision(uid, node, { phase: 'Succeeded', outputs }))).status).toBe(200);
      await expect.poll(() => phaseOf(name)).toBe('Succeeded');
      expect((await nodeOf(name, 'deploy')).inputs.parameters[0]).toMatchObject({ value: 'PERHAPS' });
    });

    test('without the outputs that the node supplies makes the workflow hang', async () => {
      const { name, uid, node } = await waiting('release');
      expect((await send(name, JSON_PATCH, decision(uid, node, { phase: 'Succeeded' }))).status).toBe(200);
      // A workflow that the controller processed later has ended by now.
      const later = await waiting('plain');
      await send(later.name, JSON_PATCH, decision(later.uid, later.node, { phase: 'Succeeded' }));
      await expect.poll(() => phaseOf(later.name)).toBe('Succeeded');
      expect(await phaseOf(name)).toBe('Running');
      expect(await nodeOf(name, 'deploy')).toBeUndefined();
    });
  });

  describe('facteur', () => {
    /** The decision that facteur derives for a waiting workflow. */
    async function seen(name: string, verdict: 'approved' | 'rejected', outputs: object): Promise<ClaimedDecision> {
      const found = await subject().client.getWorkflow(subject().namespace, name);
      const { spec, status } = found as Json;
      const waitsFor = waitingOf(spec, status);
      expect(waitsFor).toHaveLength(1);
      const { key, nodeId, node, startedAt } = waitsFor[0]!;
      return {
        runId: 'r',
        key,
        fence: 1,
        namespace: subject().namespace,
        workflowName: name,
        workflowUid: (found as Json).metadata.uid,
        command: 'release',
        traceparent: '',
        nodeId,
        node,
        startedAt,
        verdict,
        decidedBy: 'ada',
        decidedAt: new Date(),
        requestedAt: new Date(),
        reason: '',
        outputs: outputs as Record<string, string>,
        dropped: false,
        attempts: 1,
      };
    }

    test('reads the fields and the rules of a node', async () => {
      const { name } = await waiting('release');
      const { spec, status } = await read(name);
      expect(waitingOf(spec, status)).toMatchObject([
        {
          kind: 'node',
          node: 'approve',
          template: 'gate',
          fields: [{ name: 'decision', description: 'Deploy?', preset: 'NO', choices: ['YES', 'NO'] }],
          rules: { approvers: ['user:10'], quorum: 1, problem: '', timeoutOutputs: { decision: 'NO' } },
        },
      ]);
    });

    test.each(['release', 'large-release'])('approves %s, once, and no step runs twice', async (template) => {
      const { name } = await waiting(template);
      const { client, collectPods, podsOf } = subject();
      await collectPods(name);
      const decided = await seen(name, 'approved', { decision: 'YES' });
      const attempts = await Promise.all([decideOnce(decided, client), decideOnce(decided, client)]);
      expect(attempts).toContainEqual({ kind: 'applied' });
      await expect.poll(() => phaseOf(name)).toBe('Succeeded');
      expect(await decideOnce(decided, client)).toEqual({ kind: 'applied' });
      expect(await decideOnce({ ...decided, decidedBy: 'bob' }, client)).toMatchObject({ kind: 'gone' });
      expect((await nodeOf(name, 'deploy')).inputs.parameters[0]).toMatchObject({ value: 'YES' });
      expect((await podsOf(name, 'charge')) + (await podsOf(name, 'build'))).toBe(0);
    });

    test('rejects, and the workflow fails', async () => {
      const { name } = await waiting('plain');
      const decided = await seen(name, 'rejected', {});
      expect(await decideOnce(decided, subject().client)).toEqual({ kind: 'applied' });
      await expect.poll(() => phaseOf(name)).toBe('Failed');
    });

    test.each([
      ['had reached it', true, { kind: 'applied' }],
      ['had not reached it', false, { kind: 'gone', reason: 'the run was canceled' }],
    ])('finds in a stopped workflow that a decision with a lost answer %s', async (_what, arrives, expected) => {
      const { name } = await waiting('plain');
      const decided = await seen(name, 'approved', {});
      const { client } = subject();
      const patchWorkflowIf: ArgoClient['patchWorkflowIf'] = async (...request) => {
        await (arrives && client.patchWorkflowIf(...request));
        throw new ArgoError('argo.connection', 'cut', { ambiguous: true });
      };
      expect(await decideOnce(decided, { ...client, patchWorkflowIf })).toMatchObject({ kind: 'postponed' });
      await send(name, MERGE, { spec: { shutdown: 'Stop' } });
      await expect.poll(() => phaseOf(name)).toMatch(/Succeeded|Failed/);
      expect(await decideOnce({ ...decided, dropped: true, attempts: 2 }, client)).toEqual(expected);
    });
  });

  describe('a merge patch', () => {
    test('of an outdated version is 409', async () => {
      const { name, node } = await waiting('plain');
      const write = async (resourceVersion: string, phase: string) => {
        const nodes = { [node.id]: { phase, finishedAt: FINISHED_AT } };
        return send(name, MERGE, { metadata: { resourceVersion }, status: { nodes } });
      };
      let version = '';
      // The controller may still be writing.
      await expect
        .poll(async () => {
          version = (await read(name)).metadata.resourceVersion;
          return (await write(version, 'Succeeded')).status;
        })
        .toBe(200);
      expect(await write(version, 'Failed')).toMatchObject({ status: 409, body: { reason: 'Conflict' } });
      await expect.poll(() => phaseOf(name)).toBe('Succeeded');
      expect((await nodeOf(name, 'approve')).phase).toBe('Succeeded');
    });

    test('of a missing node is 422: a node needs an id, a name and a type', async () => {
      const { name } = await waiting('plain');
      const answer = await send(name, MERGE, { status: { nodes: { nobody: { phase: 'Succeeded' } } } });
      expect(answer).toMatchObject({ status: 422, body: { kind: 'Status', reason: 'Invalid' } });
      for (const field of ['id', 'name', 'type']) {
        expect((answer.body as Json).message).toContain(`status.nodes.nobody.${field}: Required value`);
      }
      expect((await read(name)).status.nodes).not.toHaveProperty('nobody');
    });
  });

  describe('a workflow that is being stopped', () => {
    test('keeps a decision from the same patch, and still fails', async () => {
      const { name, uid, node } = await waiting('release');
      const fields = { phase: 'Succeeded', message: 'approved by ada', outputs: YES };
      const stop = { op: 'add', path: '/spec/shutdown', value: 'Stop' };
      expect((await send(name, JSON_PATCH, [...decision(uid, node, fields), stop])).status).toBe(200);
      await expect.poll(() => phaseOf(name)).toBe('Failed');
      expect((await read(name)).status.message).toBe("Stopped with strategy 'Stop'");
      expect(await nodeOf(name, 'approve')).toMatchObject({ phase: 'Succeeded', message: 'approved by ada' });
    });

    test('accepts no decision afterwards', async () => {
      const { name, uid, node } = await waiting('release');
      expect((await send(name, MERGE, { spec: { shutdown: 'Stop' } })).status).toBe(200);
      await expect.poll(() => phaseOf(name)).toBe('Failed');
      expect((await send(name, JSON_PATCH, decision(uid, node, { phase: 'Succeeded', outputs: YES }))).status).toBe(
        422,
      );
      expect((await nodeOf(name, 'approve')).phase).toBe('Failed');
    });
  });

  test('a retry does not reset a rejected node: the workflow fails again, and no step runs twice', async () => {
    const { name, uid, node } = await waiting('release');
    const fields = { phase: 'Failed', message: 'rejected by bob: no' };
    expect((await send(name, JSON_PATCH, decision(uid, node, fields))).status).toBe(200);
    await expect.poll(() => phaseOf(name)).toBe('Failed');
    await subject().collectPods(name);
    const { resourceVersion } = (await read(name)).metadata;
    await subject().retry(name);
    await expect.poll(async () => (await read(name)).metadata.resourceVersion).not.toBe(resourceVersion);
    await expect.poll(() => phaseOf(name)).toBe('Failed');
    expect(await nodeOf(name, 'approve')).toMatchObject({ phase: 'Failed', message: 'rejected by bob: no' });
    expect(await subject().podsOf(name, 'build')).toBe(0);
  });

  describe('a node with a duration', () => {
    test('continues after it with the defaults of its outputs', async () => {
      const { name } = await begin('lapsing-with-default');
      await expect.poll(() => phaseOf(name)).toBe('Succeeded');
      expect(await nodeOf(name, 'approve')).toMatchObject({ type: 'Suspend', phase: 'Succeeded' });
      expect((await nodeOf(name, 'deploy')).inputs.parameters[0]).toMatchObject({ value: 'NO' });
    });

    test('ends in error after it if an output has no default, and the workflow fails', async () => {
      const { name } = await begin('lapsing');
      await expect.poll(() => phaseOf(name)).toMatch(/^(Succeeded|Failed|Error)$/);
      expect(await phaseOf(name)).toBe('Failed');
      expect(await nodeOf(name, 'approve')).toMatchObject({
        type: 'Suspend',
        phase: 'Error',
        message: expect.stringContaining('has not been set and does not have a default value'),
      });
      expect(await nodeOf(name, 'deploy')).toBeUndefined();
    });
  });

  test('without tests, the last of two decisions wins', async () => {
    const { name, node } = await waiting('plain');
    const write = async (phase: string) =>
      (await send(name, MERGE, { status: { nodes: { [node.id]: { phase, finishedAt: FINISHED_AT } } } })).status;
    expect(await write('Succeeded')).toBe(200);
    expect(await write('Failed')).toBe(200);
    expect((await nodeOf(name, 'approve')).phase).toBe('Failed');
  });

  describe('compressed nodes', () => {
    test('a JSON Patch is 422: the path does not exist', async () => {
      const { name, uid, node } = await waiting('large-release');
      expect((await read(name)).status.compressedNodes).toEqual(expect.any(String));
      expect((await send(name, JSON_PATCH, decision(uid, node, { phase: 'Succeeded' }))).status).toBe(422);
    });

    test('if they are compressed again with the decision, the workflow continues, and no step runs twice', async () => {
      const { name, uid, node } = await waiting('large-release');
      const fields = { phase: 'Succeeded', message: 'approved', outputs: YES };
      await subject().collectPods(name);
      await expect.poll(async () => writePacked(name, uid, node, fields)).toBe(200);
      await expect.poll(() => phaseOf(name)).toBe('Succeeded');
      expect(await subject().podsOf(name, 'charge')).toBe(0);
      expect((await nodeOf(name, 'deploy')).inputs.parameters[0]).toMatchObject({ value: 'YES' });
    });

    test('a merge patch of one plain node makes the controller forget the others and run their steps again', async () => {
      const { name, node } = await waiting('large-release');
      const before = await nodeOf(name, 'charge');
      expect(before.phase).toBe('Succeeded');
      await subject().collectPods(name);
      const change = { ...node, phase: 'Succeeded', finishedAt: FINISHED_AT, outputs: YES };
      expect((await send(name, MERGE, { status: { nodes: { [node.id]: change } } })).status).toBe(200);
      await expect.poll(() => subject().podsOf(name, 'charge')).toBe(1);
    });

    async function writePacked(name: string, uid: string, { id }: Json, fields: object): Promise<number> {
      const { metadata, status } = await read(name);
      const nodes = nodesOf(status);
      nodes[id] = { ...nodes[id], finishedAt: FINISHED_AT, ...fields };
      const compressedNodes = gzipSync(JSON.stringify(nodes)).toString('base64');
      const { resourceVersion } = metadata;
      return (await send(name, MERGE, { metadata: { uid, resourceVersion }, status: { compressedNodes } })).status;
    }
  });
}

function nodesOf(status: Json): Json {
  const packed = status?.compressedNodes;
  const nodes = packed === undefined ? status?.nodes : JSON.parse(gunzipSync(Buffer.from(packed, 'base64')).toString());
  return nodes ?? {};
}
