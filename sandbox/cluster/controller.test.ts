import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { manifest, NAMESPACE, seed, startCluster, type Json } from '../../test/support/cluster.ts';
import type { SimulatedCluster } from './cluster.ts';
import type { Plan } from './plan.ts';

const QUICK: Partial<Plan> = { pendingMs: 0, startMs: 0, stepMs: 0 };

async function quickCluster(plan: Partial<Plan> = {}): Promise<SimulatedCluster> {
  return startCluster({ defaults: { ...QUICK, ...plan } });
}

function begin(cluster: SimulatedCluster, name: string, parameters: Record<string, string> = {}): void {
  seed(cluster, manifest(name, { keep: 'me' }, parameters));
}

function look(cluster: SimulatedCluster, name: string): Json {
  return cluster.store.find('workflows', NAMESPACE, name)?.object;
}

function phase(cluster: SimulatedCluster, name: string): string | undefined {
  return look(cluster, name)?.status?.phase;
}

describe('a workflow', () => {
  test('runs to its end, with progress, times and labels', async () => {
    const cluster = await quickCluster({ steps: 2 });
    const seen: string[] = [];
    cluster.store.onCommit(({ entry: { object } }) => {
      const status = object.status as Json;
      seen.push(`${status?.phase ?? ''} ${status?.progress ?? ''}`.trim());
    });
    begin(cluster, 'one');
    await expect.poll(() => phase(cluster, 'one')).toBe('Succeeded');
    expect(seen).toEqual(['', 'Pending 0/2', 'Running 0/2', 'Running 1/2', 'Succeeded 2/2']);
    const { metadata, status } = look(cluster, 'one');
    expect(metadata.labels).toEqual({
      keep: 'me',
      'workflows.argoproj.io/completed': 'true',
      'workflows.argoproj.io/phase': 'Succeeded',
    });
    expect(status.startedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(status.finishedAt >= status.startedAt).toBe(true);
    expect(Object.values<Json>(status.nodes).map(({ type, phase: at }) => `${type} ${at}`)).toEqual([
      'Steps Succeeded',
      'StepGroup Succeeded',
      'Pod Succeeded',
      'StepGroup Succeeded',
      'Pod Succeeded',
    ]);
    expect(cluster.controller.live).toBe(0);
  });

  test.each([
    ['fail@2/3', 'Failed'],
    ['error@2/3', 'Error'],
  ])('%s ends at that step with its message', async (simulate, expected) => {
    const cluster = await quickCluster({ message: 'exit code 7' });
    begin(cluster, 'one', { simulate });
    await expect.poll(() => phase(cluster, 'one')).toBe(expected);
    const { status } = look(cluster, 'one');
    expect(status.progress).toBe('1/3');
    const failing = Object.values<Json>(status.nodes).find(({ message }) => message === 'exit code 7');
    expect(failing).toMatchObject({ displayName: 'step-2', type: 'Pod', phase: expected });
    const blame = `child '${failing.id}' failed`;
    expect(status.message).toBe(blame);
    const around = Object.values<Json>(status.nodes).filter(({ message }) => message === blame);
    expect(around.map(({ displayName, type }) => `${type} ${displayName}`)).toEqual(['Steps one', 'StepGroup [1]']);
  });

  test('hang@2 stays at that step', async () => {
    const cluster = await quickCluster();
    begin(cluster, 'one', { simulate: 'hang@2' });
    begin(cluster, 'later');
    await expect.poll(() => phase(cluster, 'later')).toBe('Succeeded');
    expect(look(cluster, 'one').status).toMatchObject({ phase: 'Running', progress: '1/3', finishedAt: null });
    expect(look(cluster, 'one').metadata.labels).toMatchObject({ 'workflows.argoproj.io/completed': 'false' });
  });

  test.each(['Stop', 'Terminate'])('spec.shutdown %s ends it as Failed', async (shutdown) => {
    const cluster = await quickCluster();
    begin(cluster, 'one', { simulate: 'hang' });
    await expect.poll(() => phase(cluster, 'one')).toBe('Running');
    await patch(cluster, 'one', { spec: { shutdown } });
    await expect.poll(() => phase(cluster, 'one')).toBe('Failed');
    const { status } = look(cluster, 'one');
    expect(status.message).toBe(`Stopped with strategy '${shutdown}'`);
    expect(Object.values<Json>(status.nodes).map(({ message }) => message)).toContain(
      `workflow shutdown with strategy:  ${shutdown}`,
    );
  });

  test('spec.suspend pauses it until it is removed', async () => {
    const cluster = await quickCluster();
    const suspended = manifest('one') as Json;
    seed(cluster, { ...suspended, spec: { ...suspended.spec, suspend: true } });
    begin(cluster, 'later');
    await expect.poll(() => phase(cluster, 'later')).toBe('Succeeded');
    expect(look(cluster, 'one').status).toMatchObject({ phase: 'Running', progress: '0/3' });
    await patch(cluster, 'one', { spec: { suspend: null } });
    await expect.poll(() => phase(cluster, 'one')).toBe('Succeeded');
  });

  test('is not stopped while it is suspended', async () => {
    const cluster = await quickCluster();
    const suspended = manifest('one') as Json;
    seed(cluster, { ...suspended, spec: { ...suspended.spec, suspend: true } });
    await expect.poll(() => phase(cluster, 'one')).toBe('Running');
    await patch(cluster, 'one', { spec: { shutdown: 'Stop' } });
    begin(cluster, 'later');
    await expect.poll(() => phase(cluster, 'later')).toBe('Succeeded');
    expect(phase(cluster, 'one')).toBe('Running');
    await patch(cluster, 'one', { spec: { suspend: null } });
    await expect.poll(() => phase(cluster, 'one')).toBe('Failed');
  });

  test('stores its spec again in the status, and ends in Error if that is too large', async () => {
    const cluster = await quickCluster();
    begin(cluster, 'small', { text: 'x' });
    begin(cluster, 'large', { text: 'x'.repeat(530_000) });
    await expect.poll(() => [phase(cluster, 'small'), phase(cluster, 'large')]).toEqual(['Succeeded', 'Error']);
    const { spec, status } = look(cluster, 'small');
    expect(status.storedWorkflowTemplateSpec).toEqual(spec);
    expect(look(cluster, 'large').status.message).toMatch(/^workflow is longer than maximum allowed size/);
  });

  test('without its template ends in Error', async () => {
    const cluster = await quickCluster();
    const workflow = manifest('one') as Json;
    seed(cluster, { ...workflow, spec: { workflowTemplateRef: { name: 'nowhere' } } });
    await expect.poll(() => phase(cluster, 'one')).toBe('Error');
    expect(look(cluster, 'one').status.message).toBe('workflowtemplates.argoproj.io "nowhere" not found');
  });

  test('can be finished manually, once', async () => {
    const cluster = await quickCluster({ outcome: 'hang' });
    begin(cluster, 'one');
    cluster.controller.finish(NAMESPACE, 'one', 'Failed', 'by hand');
    expect(look(cluster, 'one').status).toMatchObject({ phase: 'Failed', message: 'by hand' });
    expect(() => cluster.controller.finish(NAMESPACE, 'one', 'Succeeded')).toThrow('is over');
  });

  test('is deleted after its time to live', async () => {
    const cluster = await quickCluster({ ttlMs: 0 });
    begin(cluster, 'one');
    await expect.poll(() => cluster.history.entries.at(-1)?.kind).toBe('delete');
    expect(look(cluster, 'one')).toBeUndefined();
  });

  test('can have compressed or offloaded nodes', async () => {
    const cluster = await startCluster({
      defaults: QUICK,
      plan: ({ metadata: { name } }) => ({ nodes: name === 'packed' ? 'gzip' : 'offloaded' }),
    });
    begin(cluster, 'packed');
    begin(cluster, 'away');
    await expect.poll(() => [phase(cluster, 'packed'), phase(cluster, 'away')]).toEqual(['Succeeded', 'Succeeded']);
    const { compressedNodes, nodes } = look(cluster, 'packed').status;
    expect(nodes).toBeUndefined();
    expect(Object.keys(JSON.parse(gunzipSync(Buffer.from(compressedNodes, 'base64')).toString()))).toHaveLength(7);
    expect(look(cluster, 'away').status).toMatchObject({ offloadNodeStatusVersion: expect.stringMatching(/^fnv:/) });
  });
});

describe('retry and resubmit', () => {
  test('a retry runs the same object again', async () => {
    const cluster = await quickCluster();
    begin(cluster, 'one', { simulate: 'fail' });
    await expect.poll(() => phase(cluster, 'one')).toBe('Failed');
    const before = look(cluster, 'one');
    cluster.controller.retry(NAMESPACE, 'one');
    const again = look(cluster, 'one');
    expect(again.metadata.uid).toBe(before.metadata.uid);
    expect(again.status.phase).toBeUndefined();
    expect(again.metadata.labels).toEqual({ keep: 'me', 'workflows.argoproj.io/phase': 'Failed' });
    await expect.poll(() => phase(cluster, 'one')).toBe('Succeeded');
    expect(cluster.history.entries.map(({ kind, phase: at }) => `${kind} ${at}`).slice(1)).toEqual([
      'create ',
      'state Pending',
      'state Running',
      'state Failed',
      'retry ',
      'state Pending',
      'state Running',
      'state Succeeded',
    ]);
  });

  test('a retry after a stop is not stopped again', async () => {
    const cluster = await quickCluster();
    begin(cluster, 'one', { simulate: 'hang' });
    await patch(cluster, 'one', { spec: { shutdown: 'Stop' } });
    await expect.poll(() => phase(cluster, 'one')).toBe('Failed');
    cluster.controller.retry(NAMESPACE, 'one');
    await expect.poll(() => phase(cluster, 'one')).toBe('Succeeded');
  });

  test('refuses to retry a running workflow', async () => {
    const cluster = await quickCluster({ outcome: 'hang' });
    begin(cluster, 'one');
    await expect.poll(() => phase(cluster, 'one')).toBe('Running');
    expect(() => cluster.controller.retry(NAMESPACE, 'one')).toThrow('Cannot retry a workflow in phase Running');
  });

  test('a resubmission is another object with the same labels', async () => {
    const cluster = await quickCluster();
    begin(cluster, 'one', { simulate: 'fail' });
    await expect.poll(() => phase(cluster, 'one')).toBe('Failed');
    const { name, uid, labels } = cluster.controller.resubmit(NAMESPACE, 'one').object.metadata;
    expect(name).toMatch(/^one-[a-z0-9]{5}$/);
    expect(uid).not.toBe(look(cluster, 'one').metadata.uid);
    expect(labels).toEqual({ keep: 'me', 'workflows.argoproj.io/resubmitted-from-workflow': 'one' });
  });
});

async function patch(cluster: SimulatedCluster, name: string, change: object): Promise<void> {
  await fetch(`${cluster.url}/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/workflows/${name}`, {
    method: 'PATCH',
    body: JSON.stringify(change),
    headers: { 'content-type': 'application/merge-patch+json' },
  });
}
