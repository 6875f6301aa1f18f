import { describe, expect, test } from 'vitest';
import { manifest, NAMESPACE, startCluster, type Json } from '../../test/support/cluster.ts';

const BASE = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}`;

interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

async function send(url: string, method: string, body?: unknown, contentType = 'application/json'): Promise<Reply> {
  const response = await fetch(url, {
    method,
    ...(body === undefined
      ? {}
      : {
          body: typeof body === 'string' ? body : JSON.stringify(body),
          headers: { 'content-type': contentType },
        }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

function altered(metadata: Record<string, unknown>): object {
  const workflow = manifest('good');
  return { ...workflow, metadata: { ...workflow.metadata, ...metadata } };
}

describe('create', () => {
  test('gives an object its identity', async () => {
    const { url } = await startCluster({ clock: { now: () => new Date('2026-01-02T03:04:05.678Z') } });
    const { status, body } = await send(`${url}${BASE}/workflows`, 'POST', manifest('one', { team: 'a' }));
    expect(status).toBe(201);
    expect(body).toMatchObject({
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Workflow',
      metadata: {
        name: 'one',
        namespace: NAMESPACE,
        creationTimestamp: '2026-01-02T03:04:05Z',
        generation: 1,
        labels: { team: 'a' },
      },
    });
    expect(body.metadata.uid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number(body.metadata.resourceVersion)).toBeGreaterThan(0);
    expect((await send(`${url}${BASE}/workflows/one`, 'GET')).body.metadata.uid).toBe(body.metadata.uid);
  });

  test('generates unique names from generateName', async () => {
    const { url } = await startCluster();
    const names = new Set<string>();
    for (let count = 0; count < 20; count += 1) {
      const { body } = await send(
        `${url}${BASE}/workflows`,
        'POST',
        altered({ name: undefined, generateName: 'plan-' }),
      );
      expect(body.metadata.name).toMatch(/^plan-[a-z0-9]{5}$/);
      names.add(body.metadata.name);
    }
    expect(names.size).toBe(20);
  });

  test('refuses an existing name', async () => {
    const { url } = await startCluster();
    await send(`${url}${BASE}/workflows`, 'POST', manifest('one'));
    const { status, body } = await send(`${url}${BASE}/workflows`, 'POST', manifest('one'));
    expect(status).toBe(409);
    expect(body).toMatchObject({
      kind: 'Status',
      status: 'Failure',
      reason: 'AlreadyExists',
      code: 409,
      message: 'workflows.argoproj.io "one" already exists',
      details: { name: 'one', group: 'argoproj.io', kind: 'workflows' },
    });
  });

  test.each([
    ['an uppercase name', { name: 'Plan' }, 'metadata.name'],
    ['a name of 254 characters', { name: 'a'.repeat(254) }, 'metadata.name'],
    ['no name', { name: undefined }, 'metadata.name'],
    ['a label key with a space', { labels: { 'a b': 'x' } }, 'metadata.labels'],
    ['a label key with two slashes', { labels: { 'a/b/c': 'x' } }, 'metadata.labels'],
    ['a label value of 64 characters', { labels: { a: 'x'.repeat(64) } }, 'metadata.labels'],
    ['a label value that begins with a dash', { labels: { a: '-x' } }, 'metadata.labels'],
    ['annotations of more than 256 KiB', { annotations: { a: 'x'.repeat(256 * 1024) } }, 'metadata.annotations'],
  ])('refuses %s', async (_what, metadata, field) => {
    const { url, store } = await startCluster();
    const { status, body } = await send(`${url}${BASE}/workflows`, 'POST', altered(metadata));
    expect([status, body.reason, body.details.causes[0].field]).toEqual([422, 'Invalid', field]);
    expect(store.count('workflows')).toBe(0);
  });

  test.each([
    ['a name of 253 characters', { name: 'a'.repeat(253) }],
    ['a label value of 63 characters', { labels: { 'example.com/a_b.c': 'x'.repeat(63) } }],
    ['an empty label value', { labels: { a: '' } }],
    ['annotations just below the limit', { annotations: { a: 'x'.repeat(256 * 1024 - 1) } }],
  ])('accepts %s', async (_what, metadata) => {
    const { url } = await startCluster();
    expect((await send(`${url}${BASE}/workflows`, 'POST', altered(metadata))).status).toBe(201);
  });

  test.each([
    ['broken JSON', '{"kind":', 'application/json', 400],
    ['JSON that is not an object', '[]', 'application/json', 400],
    ['another kind', { ...manifest('x'), kind: 'Pod' }, 'application/json', 422],
    ['labels that are not strings', altered({ labels: { a: 1 } }), 'application/json', 400],
    ['another namespace', altered({ namespace: 'default' }), 'application/json', 400],
    ['a resource version', altered({ resourceVersion: '5' }), 'application/json', 500],
    ['no spec', { ...manifest('x'), spec: undefined }, 'application/json', 422],
    ['an unknown media type', manifest('x'), 'text/plain', 415],
    ['more than 3 MiB', 'x'.repeat(3 * 1024 * 1024 + 1), 'application/json', 413],
  ])('refuses %s', async (_what, body, contentType, expected) => {
    const { url, store } = await startCluster();
    expect((await send(`${url}${BASE}/workflows`, 'POST', body, contentType)).status).toBe(expected);
    expect(store.count('workflows')).toBe(0);
  });

  test('a character that Go escapes counts as six bytes', async () => {
    const { url } = await startCluster();
    const large = manifest('big', {}, { text: '<'.repeat(300_000) });
    expect((await send(`${url}${BASE}/workflows`, 'POST', large)).body.message).toContain('too large');
  });

  test('an object that is too large only for the store fails with the message of etcd', async () => {
    const { url } = await startCluster();
    const { status, body } = await send(
      `${url}${BASE}/workflows`,
      'POST',
      manifest('big', {}, { text: 'x'.repeat(1_600_000) }),
    );
    expect(status).toBe(500);
    expect(body).toMatchObject({ code: 500, message: 'etcdserver: request is too large' });
    expect(body.reason).toBeUndefined();
  });

  test('creating in a missing namespace is 404; listing it is empty', async () => {
    const { url } = await startCluster();
    const path = `${url}/apis/argoproj.io/v1alpha1/namespaces/nowhere/workflows`;
    const { status, body } = await send(path, 'POST', altered({ namespace: 'nowhere' }));
    expect([status, body.message]).toEqual([404, 'namespaces "nowhere" not found']);
    expect((await send(path, 'GET')).body.items).toEqual([]);
  });
});

describe('patch', () => {
  const MERGE = 'application/merge-patch+json';

  test('merges, increments the generation, and emits no event for an empty change', async () => {
    const { url, store } = await startCluster();
    const created = (await send(`${url}${BASE}/workflows`, 'POST', manifest('one'))).body;
    const { status, body } = await send(`${url}${BASE}/workflows/one`, 'PATCH', { spec: { suspend: true } }, MERGE);
    expect(status).toBe(200);
    expect(body.spec).toEqual({ ...created.spec, suspend: true });
    expect(body.metadata).toMatchObject({ uid: created.metadata.uid, generation: 2 });
    const { version } = store;
    const again = await send(`${url}${BASE}/workflows/one`, 'PATCH', { spec: { suspend: true } }, MERGE);
    expect(again.status).toBe(200);
    expect(again.body.metadata.generation).toBe(2);
    expect(store.eventsAfter(version).filter(({ cause }) => cause === 'patch')).toEqual([]);
  });

  test.each([
    ['another uid', { metadata: { uid: 'other' } }, MERGE, 422],
    ['an old resource version', { metadata: { resourceVersion: '1' } }, MERGE, 409],
    ['another name', { metadata: { name: 'two' } }, MERGE, 400],
    ['an invalid label', { metadata: { labels: { a: '-' } } }, MERGE, 422],
    ['a JSON patch of an object', { op: 'remove' }, 'application/json-patch+json', 400],
    [
      'a JSON patch with a failing test',
      [{ op: 'test', path: '/kind', value: 'Pod' }],
      'application/json-patch+json',
      422,
    ],
    ['a strategic merge patch', { spec: {} }, 'application/strategic-merge-patch+json', 415],
    ['broken JSON', '{', MERGE, 400],
  ])('refuses %s', async (_what, patch, contentType, expected) => {
    const { url } = await startCluster();
    await send(`${url}${BASE}/workflows`, 'POST', manifest('one'));
    expect((await send(`${url}${BASE}/workflows/one`, 'PATCH', patch, contentType)).status).toBe(expected);
  });

  test('a missing object is 404', async () => {
    const { url } = await startCluster();
    const { status, body } = await send(`${url}${BASE}/workflows/one`, 'PATCH', {}, MERGE);
    expect([status, body.reason, body.details.name]).toEqual([404, 'NotFound', 'one']);
  });
});

describe('delete', () => {
  test('removes an object, unless the uid differs', async () => {
    const { url } = await startCluster();
    const { uid } = (await send(`${url}${BASE}/workflows`, 'POST', manifest('one'))).body.metadata;
    const path = `${url}${BASE}/workflows/one`;
    expect((await send(path, 'DELETE', { preconditions: { uid: 'other' } })).status).toBe(409);
    const { status, body } = await send(path, 'DELETE', { preconditions: { uid } });
    expect([status, body.status, body.details.uid]).toEqual([200, 'Success', uid]);
    expect((await send(path, 'GET')).status).toBe(404);
    expect((await send(path, 'DELETE')).status).toBe(404);
  });
});

describe('access', () => {
  test('if tokens are configured, accepts only those', async () => {
    const { url } = await startCluster({ tokens: ['right'] });
    const ask = async (authorization: string): Promise<number> =>
      (await fetch(`${url}${BASE}/workflows`, { headers: { authorization } })).status;
    expect([await ask('Bearer right'), await ask('Bearer wrong')]).toEqual([200, 401]);
  });

  test('a request without a token is anonymous, and may only read the health endpoints', async () => {
    const { url } = await startCluster({ tokens: ['right'] });
    const { status, body } = await send(`${url}${BASE}/workflows`, 'GET');
    expect([status, body.reason]).toEqual([403, 'Forbidden']);
    expect(body.message).toContain('User "system:anonymous" cannot list resource "workflows"');
    expect((await send(`${url}/readyz`, 'GET')).status).toBe(200);
  });

  test('before RBAC is loaded, everything is forbidden', async () => {
    const { url, faults } = await startCluster();
    faults.apply({ op: 'startup', stage: 'forbidden' });
    const paths = ['/readyz', '/version', `${BASE}/workflows`, '/api/v1/namespaces/a/pods/b/log'];
    const asked = await Promise.all(paths.map(async (path) => (await send(url + path, 'GET')).body.reason));
    expect(asked).toEqual(paths.map(() => 'Forbidden'));
    faults.apply({ op: 'startup', stage: 'ready' });
    expect((await send(`${url}${BASE}/workflows`, 'GET')).status).toBe(200);
  });

  test.each([
    ['installing', [503, 503, 503, 503, 503, 503]],
    ['initializing', [200, 200, 429, 429, 429, 404]],
    ['ready', [200, 200, 200, 200, 200, 404]],
  ] as const)('while it is %s, it answers like a real server', async (stage, statuses) => {
    const { url, faults } = await startCluster();
    faults.apply({ op: 'startup', stage });
    const workflows = `${url}${BASE}/workflows`;
    const queries = [
      '?limit=5',
      '?limit=5&resourceVersion=',
      '',
      '?limit=5&resourceVersion=0',
      '?watch=1&timeoutSeconds=0',
    ];
    const asked = [...queries.map((query) => workflows + query), `${workflows}/nobody`];
    expect(await Promise.all(asked.map(async (path) => (await fetch(path)).status))).toEqual(statuses);
    expect((await fetch(`${url}/version`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(stage === 'ready' ? 200 : 500);
    const { headers } = await fetch(workflows);
    expect(headers.get('retry-after')).toBe({ installing: '5', initializing: '1', ready: null }[stage]);
  });

  test('a quota limits the workflows of a namespace, and admits none until it is counted', async () => {
    const { url, faults } = await startCluster();
    faults.apply({ op: 'quota', namespace: NAMESPACE, quota: { name: 'wf', limit: 1 } });
    expect((await send(`${url}${BASE}/workflows`, 'POST', manifest('one'))).status).toBe(201);
    expect(await send(`${url}${BASE}/workflows`, 'POST', manifest('two'))).toMatchObject({
      status: 403,
      body: {
        reason: 'Forbidden',
        message:
          'workflows.argoproj.io "two" is forbidden: exceeded quota: wf, requested: count/workflows.argoproj.io=1, used: count/workflows.argoproj.io=1, limited: count/workflows.argoproj.io=1',
      },
    });
    faults.apply({ op: 'quota', namespace: NAMESPACE, quota: { name: 'wf', limit: 9, counted: false } });
    expect((await send(`${url}${BASE}/workflows`, 'POST', manifest('two'))).body.message).toBe(
      'workflows.argoproj.io "two" is forbidden: status unknown for quota: wf, resources: count/workflows.argoproj.io',
    );
    faults.apply({ op: 'quota', namespace: NAMESPACE });
    expect((await send(`${url}${BASE}/workflows`, 'POST', manifest('two'))).status).toBe(201);
  });

  test('RBAC can deny a verb', async () => {
    const cluster = await startCluster();
    cluster.faults.apply({ op: 'deny', requests: [{ verb: 'create', resource: 'workflows' }] });
    const { status, body } = await send(`${cluster.url}${BASE}/workflows`, 'POST', manifest('one'));
    expect([status, body.reason]).toEqual([403, 'Forbidden']);
    expect(body.message).toContain('cannot create resource "workflows" in API group "argoproj.io"');
    expect((await send(`${cluster.url}${BASE}/workflows`, 'GET')).status).toBe(200);
  });
});

describe('other paths', () => {
  test.each(['/healthz', '/readyz', '/livez', '/version', '/apis', '/apis/argoproj.io/v1alpha1'])(
    '%s answers 200',
    async (path) => {
      const { url } = await startCluster();
      expect((await send(url + path, 'GET')).status).toBe(200);
    },
  );

  test('an unknown path is Go’s plain 404, an unknown method 405', async () => {
    const { url } = await startCluster();
    expect(await send(`${url}/apis/batch/v1/jobs`, 'GET')).toMatchObject({ status: 404, body: '404 page not found\n' });
    expect((await send(`${url}${BASE}/workflows`, 'PUT', {})).status).toBe(405);
  });

  test('templates can be read, listed and created', async () => {
    const { url } = await startCluster();
    expect((await send(`${url}${BASE}/workflowtemplates/plan`, 'GET')).body.kind).toBe('WorkflowTemplate');
    const template = { ...manifest('review'), kind: 'WorkflowTemplate' };
    expect((await send(`${url}${BASE}/workflowtemplates`, 'POST', template)).status).toBe(201);
    const { body } = await send(`${url}${BASE}/workflowtemplates`, 'GET');
    expect(body.items.map((item: Json) => item.metadata.name)).toEqual(['plan', 'review']);
  });
});
