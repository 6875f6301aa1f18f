import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { manifest, NAMESPACE, startCluster, type Json } from '../../test/support/cluster.ts';
import type { SimulatedCluster } from './cluster.ts';
import type { Command } from './control.ts';
import type { FaultRule } from './faults.ts';

const WORKFLOWS = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/workflows`;

async function create(cluster: SimulatedCluster, name: string, signal?: AbortSignal): Promise<Response> {
  return fetch(cluster.url + WORKFLOWS, {
    method: 'POST',
    body: JSON.stringify(manifest(name)),
    headers: { 'content-type': 'application/json' },
    ...(signal === undefined ? {} : { signal }),
  });
}

function fault(cluster: SimulatedCluster, rule: FaultRule): void {
  cluster.faults.apply({ op: 'add', rule });
}

describe('faults of single requests', () => {
  test('answer: the request is refused and not executed', async () => {
    const cluster = await startCluster();
    fault(cluster, {
      match: { verb: 'create' },
      action: { kind: 'answer', answer: { status: 503, retryAfterSeconds: 7 } },
      times: 1,
    });
    const refused = await create(cluster, 'one');
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('7');
    expect((await refused.json()) as Json).toMatchObject({ kind: 'Status', details: { retryAfterSeconds: 7 } });
    expect(cluster.store.count('workflows')).toBe(0);
    expect((await create(cluster, 'one')).status).toBe(201);
  });

  test('answer: with an HTML page, like a proxy', async () => {
    const cluster = await startCluster();
    fault(cluster, { action: { kind: 'answer', answer: { status: 502, body: '<html>bad gateway</html>' } } });
    const response = await create(cluster, 'one');
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      502,
      'text/html',
      '<html>bad gateway</html>',
    ]);
  });

  test.each(['reset', 'commit-then-reset'] as const)(
    '%s: the client gets the same error, the cluster differs',
    async (kind) => {
      const cluster = await startCluster();
      fault(cluster, { match: { verb: 'create' }, action: { kind }, times: 1 });
      await expect(create(cluster, 'one')).rejects.toThrow('fetch failed');
      expect(cluster.store.count('workflows')).toBe(kind === 'reset' ? 0 : 1);
      expect(
        cluster.history.entries
          .filter(({ name }) => name === 'one')
          .map(({ kind: what }) => what)
          .slice(0, 1),
      ).toEqual(kind === 'reset' ? [] : ['create']);
    },
  );

  test.each(['hang', 'commit-then-hang'] as const)('%s: the client gets no answer', async (kind) => {
    const cluster = await startCluster();
    fault(cluster, { match: { verb: 'create' }, action: { kind } });
    const stop = new AbortController();
    const hanging = create(cluster, 'one', stop.signal);
    await expect.poll(() => cluster.state()['requests']).toEqual({ create: 1 });
    await expect.poll(() => cluster.store.count('workflows')).toBe(kind === 'hang' ? 0 : 1);
    stop.abort();
    await expect(hanging).rejects.toThrow('abort');
  });

  test('commit-then-answer: the request is executed, and the client gets an error', async () => {
    const cluster = await startCluster();
    fault(cluster, { action: { kind: 'commit-then-answer', answer: { status: 500 } }, times: 1 });
    expect((await create(cluster, 'one')).status).toBe(500);
    expect((await create(cluster, 'one')).status).toBe(409);
  });

  test('a delay affects only matching requests', async () => {
    const cluster = await startCluster();
    fault(cluster, { match: { verb: 'create' }, action: { kind: 'delay', ms: 3_600_000 } });
    const stop = new AbortController();
    const slow = create(cluster, 'one', stop.signal);
    expect((await fetch(cluster.url + WORKFLOWS)).status).toBe(200);
    stop.abort();
    await expect(slow).rejects.toThrow('abort');
  });

  test('creates above the rate are refused with Retry-After', async () => {
    const cluster = await startCluster({ clock: { now: () => new Date(0) } });
    cluster.faults.apply({ op: 'rate', rate: { perSecond: 2, over: 'reject' } });
    const answers = [await create(cluster, 'a'), await create(cluster, 'b'), await create(cluster, 'c')];
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 429]);
    expect(answers[2]?.headers.get('retry-after')).toBe('1');
    expect(((await answers[2]!.json()) as Json).reason).toBe('TooManyRequests');
    cluster.faults.apply({ op: 'clear' });
    expect((await create(cluster, 'c')).status).toBe(201);
  });
});

describe('from another process', () => {
  test('controls faults, history and state over HTTP', async () => {
    const cluster = await startCluster();
    const command = async (body: Command): Promise<Json> =>
      (await fetch(`${cluster.url}/__sim/faults`, { method: 'POST', body: JSON.stringify(body) })).json();
    const { id } = await command({ op: 'add', rule: { action: { kind: 'answer', answer: { status: 500 } } } });
    expect((await create(cluster, 'one')).status).toBe(500);
    await command({ op: 'remove', id });
    expect((await create(cluster, 'one')).status).toBe(201);
    await expect.poll(() => cluster.history.entries.at(-1)?.phase).toBe('Running');
    await command({ op: 'finish', namespace: NAMESPACE, name: 'one', phase: 'Failed' });
    const { uid } = await command({ op: 'retry', namespace: NAMESPACE, name: 'one' });
    expect(uid).toBe(cluster.store.get('workflows', NAMESPACE, 'one').object.metadata.uid);
    const missing = await fetch(`${cluster.url}/__sim/faults`, {
      method: 'POST',
      body: JSON.stringify({ op: 'retry', namespace: NAMESPACE, name: 'nobody' }),
    });
    expect(missing.status).toBe(404);

    const history = (await (await fetch(`${cluster.url}/__sim/history?after=1`)).json()) as Json;
    expect(history.entries.slice(0, 4).map(({ seq, kind, phase }: Json) => [seq, kind, phase])).toEqual([
      [2, 'create', ''],
      [3, 'state', 'Pending'],
      [4, 'state', 'Running'],
      [5, 'state', 'Failed'],
    ]);
    const state = (await (await fetch(`${cluster.url}/__sim/state`)).json()) as Json;
    expect(state).toMatchObject({ workflows: 1, live: 1, requests: { create: 2 } });
    expect((await fetch(`${cluster.url}/__sim/other`)).status).toBe(404);
  });
});

test('the kubeconfig points to the cluster', async () => {
  const cluster = await startCluster({ tokens: ['secret'] });
  const config = parse(cluster.kubeconfig());
  expect(config.clusters[0].cluster.server).toBe(cluster.url);
  expect(config.users[0].user.token).toBe('secret');
  expect(config.contexts[0].context.namespace).toBe(NAMESPACE);
});

test('refuses connections while disconnected; afterwards it starts up on the same port with the same objects', async () => {
  const cluster = await startCluster({ startupMs: 3_600_000 });
  await create(cluster, 'one');
  await cluster.disconnect();
  await expect(create(cluster, 'two')).rejects.toThrow('fetch failed');
  await cluster.reconnect();
  expect((await create(cluster, 'one')).status).toBe(403);
  cluster.faults.access.startUp(0);
  expect((await create(cluster, 'one')).status).toBe(409);
});

test('a command that fails unexpectedly answers 500 instead of hanging', async () => {
  const cluster = await startCluster();
  const response = await fetch(`${cluster.url}/__sim/faults`, { method: 'POST', body: '{}' });
  expect(response.status).toBe(500);
});
