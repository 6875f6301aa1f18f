import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { accessTo, clientFor, manifest, NAMESPACE, startCluster } from '../../../test/support/cluster.ts';
import type { FaultRule } from '../../../sandbox/cluster/faults.ts';
import type { ClusterAccess } from './connection.ts';
import { ArgoError, isArgoError } from './errors.ts';
import type { ArgoClient, Workflow } from './workflows.ts';

/** A server with the test's own answers, for those that no API server would send. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function failure(work: Promise<unknown>): Promise<ArgoError> {
  const error: unknown = await work.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ArgoError);
  return error as ArgoError;
}

async function everyPage(
  client: ArgoClient,
  options: Parameters<ArgoClient['listWorkflows']>[1],
): Promise<Workflow[][]> {
  const pages: Workflow[][] = [];
  for await (const page of client.listWorkflows(NAMESPACE, options)) {
    pages.push([...page.workflows]);
  }
  return pages;
}

describe('calls', () => {
  test('create, get and patch a workflow, and get a template and the version', async () => {
    const cluster = await startCluster();
    const client = clientFor(cluster.url);
    const created = await client.createWorkflow(NAMESPACE, manifest('one', { team: 'a' }));
    expect(created.metadata).toMatchObject({ name: 'one', namespace: NAMESPACE, labels: { team: 'a' } });
    // A large workflow need not be sent back as a whole.
    expect(created).not.toHaveProperty('spec');
    expect((await client.getWorkflow(NAMESPACE, 'one')).metadata.uid).toBe(created.metadata.uid);
    const stopped = await client.patchWorkflow(NAMESPACE, 'one', { spec: { shutdown: 'Stop' } });
    expect(stopped.spec.shutdown).toBe('Stop');
    expect((await client.getWorkflowTemplate(NAMESPACE, 'plan')).metadata?.name).toBe('plan');
    expect(await client.serverVersion()).toMatch(/^v1\.\d+/);
  });

  test('names that need escaping stay one path segment', async () => {
    const cluster = await startCluster();
    const error = await failure(clientFor(cluster.url).getWorkflow(NAMESPACE, '../../version'));
    expect(error).toMatchObject({ code: 'argo.not_found', details: 'workflows.argoproj.io "../../version" not found' });
  });

  test('list page by page, and with a selector', async () => {
    const cluster = await startCluster();
    const client = clientFor(cluster.url);
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await client.createWorkflow(NAMESPACE, manifest(name, { odd: String('ace'.includes(name)) }));
    }
    const names = (pages: Workflow[][]): (string | undefined)[][] =>
      pages.map((page) => page.map(({ metadata }) => metadata.name));
    expect(names(await everyPage(client, { limit: 2 }))).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
    expect(names(await everyPage(client, { labelSelector: 'odd=true' }))).toEqual([['a', 'c', 'e']]);
    expect(names(await everyPage(client, { labelSelector: 'none' }))).toEqual([[]]);
  });

  test('a list continues from an earlier page, until its token expires', async () => {
    const cluster = await startCluster();
    const client = clientFor(cluster.url);
    await client.createWorkflow(NAMESPACE, manifest('a'));
    await client.createWorkflow(NAMESPACE, manifest('b'));
    const first = await client.listWorkflows(NAMESPACE, { limit: 1 }).next();
    const token = first.done === true ? '' : first.value.continue;
    expect((await everyPage(client, { continue: token })).flat().map(({ metadata }) => metadata.name)).toEqual(['b']);
    await client.createWorkflow(NAMESPACE, manifest('c'));
    cluster.faults.apply({ op: 'compact' });
    expect(await failure(everyPage(client, { continue: token }))).toMatchObject({ code: 'argo.expired' });
  });

  test('a page that is too large is requested again in smaller ones', async () => {
    const asked: (string | null)[] = [];
    const url = await serve((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://cluster');
      const limit = searchParams.get('limit');
      asked.push(limit);
      const token = searchParams.get('continue') === null ? 'more' : '';
      const padding = Number(limit) > 4 ? ' '.repeat(17 * 1024 * 1024) : '';
      response.end(JSON.stringify({ metadata: { resourceVersion: '1', continue: token }, items: [] }) + padding);
    });
    const pages = await everyPage(clientFor(url), { limit: 9 });
    expect(asked).toEqual(['9', '4', '4']);
    expect(pages).toHaveLength(2);
  });
});

describe('errors', () => {
  test.each([
    ['a duplicate name', 'one', 'argo.already_exists', false],
    ['an invalid name', 'One!', 'argo.invalid', false],
  ])('%s', async (_what, name, code, retryable) => {
    const cluster = await startCluster();
    const client = clientFor(cluster.url);
    await client.createWorkflow(NAMESPACE, manifest('one'));
    const error = await failure(client.createWorkflow(NAMESPACE, manifest(name)));
    expect(error).toMatchObject({ code, retryable, ambiguous: false });
    expect(error.details).toContain(name);
  });

  test('a missing workflow, a missing namespace and a missing permission', async () => {
    const cluster = await startCluster();
    const client = clientFor(cluster.url);
    expect(await failure(client.getWorkflow(NAMESPACE, 'nobody'))).toMatchObject({
      code: 'argo.not_found',
      status: 404,
    });
    const elsewhere = { ...manifest('one'), metadata: { name: 'one' } };
    expect(await failure(client.createWorkflow('nowhere', elsewhere))).toMatchObject({
      code: 'argo.not_found',
      details: 'namespaces "nowhere" not found',
    });
    cluster.faults.apply({ op: 'deny', requests: [{ verb: 'create' }] });
    expect(await failure(client.createWorkflow(NAMESPACE, manifest('one')))).toMatchObject({ code: 'argo.forbidden' });
  });

  test('an object that is too large for the store is not retryable', async () => {
    const cluster = await startCluster();
    const workflow = manifest('one', {}, { text: 'x'.repeat(1_600_000) });
    const error = await failure(clientFor(cluster.url).createWorkflow(NAMESPACE, workflow));
    expect(error).toMatchObject({ code: 'argo.too_large', retryable: false, ambiguous: false });
  });

  test('a 429 says how long to wait', async () => {
    const cluster = await startCluster();
    const answer = { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 2 };
    cluster.faults.apply({ op: 'add', rule: { action: { kind: 'answer', answer } } });
    const error = await failure(clientFor(cluster.url).createWorkflow(NAMESPACE, manifest('one')));
    expect(error).toMatchObject({
      code: 'argo.too_many_requests',
      retryAfterMs: 2000,
      retryable: true,
      ambiguous: false,
    });
  });

  test('a proxy’s page is not taken for an answer, whatever its status', async () => {
    const cluster = await startCluster();
    const client = clientFor(cluster.url);
    const say = (status: number): void => {
      const answer = { status, body: '<html>who are you?</html>' };
      cluster.faults.apply({ op: 'add', rule: { action: { kind: 'answer', answer }, times: 1 } });
    };
    say(502);
    expect(await failure(client.getWorkflow(NAMESPACE, 'one'))).toMatchObject({
      code: 'argo.unavailable',
      status: 502,
    });
    say(200);
    expect(await failure(client.createWorkflow(NAMESPACE, manifest('one')))).toMatchObject({
      code: 'argo.bad_answer',
      status: 200,
      ambiguous: true,
    });
    say(404);
    // A wrong route must not look like a workflow that was deleted.
    expect(await failure(client.getWorkflow(NAMESPACE, 'one'))).toMatchObject({ code: 'argo.bad_answer', status: 404 });
  });

  test.each(['null', '[]', '{}', '{"metadata":{"name":"x"}}', '{"metadata":'])(
    'an answer of %s is not a workflow',
    async (body) => {
      const url = await serve((_request, response) => response.end(body));
      const error = await failure(clientFor(url).getWorkflow(NAMESPACE, 'x'));
      expect(error).toMatchObject({ code: 'argo.bad_answer', ambiguous: false });
    },
  );

  test('stops reading an endless answer', async () => {
    const url = await serve((_request, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 'x');
      const more = (): void => {
        while (response.write(chunk)) {
          // Until the client's buffer is full.
        }
        response.once('drain', more);
      };
      more();
    });
    const error = await failure(clientFor(url).getWorkflow(NAMESPACE, 'x'));
    expect(error).toMatchObject({ code: 'argo.bad_answer', reason: 'AnswerTooLarge' });
  });
});

describe('the readiness of the API server', () => {
  test('is checked with credentials, and anonymously if these are rejected', async () => {
    const cluster = await startCluster({ tokens: ['right'] });
    const ready = async (token?: string) => clientFor(accessTo(cluster.url, token)).isReady();
    expect([await ready('right'), await ready('wrong'), await ready()]).toEqual([true, true, true]);
    cluster.faults.apply({ op: 'startup', stage: 'forbidden' });
    expect([await ready('right'), await ready('wrong'), await ready()]).toEqual([false, false, false]);
    await cluster.disconnect();
    expect(await ready('right')).toBe(false);
  });

  test('is not taken from a proxy’s page', async () => {
    const url = await serve((_request, response) => response.end('<html>Welcome</html>'));
    expect(await clientFor(url).isReady()).toBe(false);
  });
});

describe('a call that fails', () => {
  const create: FaultRule['match'] = { verb: 'create' };

  test.each([
    ['a reset before', { kind: 'reset' }, 'argo.connection', 0],
    ['a reset after', { kind: 'commit-then-reset' }, 'argo.connection', 1],
    ['no answer before', { kind: 'hang' }, 'argo.timeout', 0],
    ['no answer after', { kind: 'commit-then-hang' }, 'argo.timeout', 1],
    [
      'a 500 after',
      { kind: 'commit-then-answer', answer: { status: 500, reason: 'InternalError' } },
      'argo.unavailable',
      1,
    ],
  ] as const)('%s the write: ambiguous in both cases, with the same code', async (_what, action, code, stored) => {
    const cluster = await startCluster();
    cluster.faults.apply({ op: 'add', rule: { match: create, action } });
    const client = clientFor(cluster.url);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const asked = failure(client.createWorkflow(NAMESPACE, manifest('one'), { timeoutMs: 1000 }));
    // The limit passes only after the cluster has done its part.
    await expect
      .poll(() => [cluster.state()['requests'], cluster.store.count('workflows')])
      .toEqual([{ create: 1 }, stored]);
    if (code === 'argo.timeout') {
      vi.advanceTimersByTime(1000);
    }
    const error = await asked;
    expect(error).toMatchObject({ code, ambiguous: true, retryable: true });
    expect(cluster.store.count('workflows')).toBe(stored);
    expect(`${error.message} ${error.details ?? ''}`).not.toContain('127.0.0.1');
  });

  test('a read is never ambiguous', async () => {
    const cluster = await startCluster();
    cluster.faults.apply({ op: 'add', rule: { match: { verb: 'get' }, action: { kind: 'reset' } } });
    const error = await failure(clientFor(cluster.url).getWorkflow(NAMESPACE, 'one'));
    expect(error).toMatchObject({ code: 'argo.connection', ambiguous: false });
  });

  test('a refused connection is not ambiguous: nothing was sent', async () => {
    const cluster = await startCluster({ startupMs: 0 });
    await cluster.disconnect();
    const client = clientFor(cluster.url);
    const error = await failure(client.createWorkflow(NAMESPACE, manifest('one')));
    expect(error).toMatchObject({ code: 'argo.connection', ambiguous: false, retryable: true });
    expect(error.message).toContain('ECONNREFUSED');
    await cluster.reconnect();
    await client.createWorkflow(NAMESPACE, manifest('one'));
  });

  test('the caller’s signal aborts a call', async () => {
    const cluster = await startCluster();
    cluster.faults.apply({ op: 'add', rule: { match: create, action: { kind: 'hang' } } });
    const stop = new AbortController();
    const call = failure(clientFor(cluster.url).createWorkflow(NAMESPACE, manifest('one'), { signal: stop.signal }));
    await expect.poll(() => cluster.state()['requests']).toEqual({ create: 1 });
    stop.abort();
    expect(await call).toMatchObject({ code: 'argo.aborted', ambiguous: true });
    const again = clientFor(cluster.url).createWorkflow(NAMESPACE, manifest('two'), { signal: stop.signal });
    expect(await failure(again)).toMatchObject({ code: 'argo.aborted' });
    expect(cluster.state()['requests']).toEqual({ create: 1 });
  });

  test('the time limit and the caller’s signal cover waiting for a connection', async () => {
    const cluster = await startCluster();
    const client = clientFor(cluster.url);
    const hold = cluster.faults.requests.add({ match: create, action: { kind: 'hold' } });
    const held = Array.from({ length: 64 }, (_, index) =>
      client.createWorkflow(NAMESPACE, manifest(`held-${index}`), { timeoutMs: 3_600_000 }),
    );
    await expect.poll(() => cluster.state()['requests']).toEqual({ create: 64 });

    const late = client.createWorkflow(NAMESPACE, manifest('late'), { timeoutMs: 50 });
    expect(await failure(late)).toMatchObject({ code: 'argo.timeout', ambiguous: true });
    expect(await client.isReady({ timeoutMs: 50 })).toBe(false);
    const stop = new AbortController();
    const stopped = failure(client.createWorkflow(NAMESPACE, manifest('stopped'), { signal: stop.signal }));
    await setImmediate();
    stop.abort();
    expect(await stopped).toMatchObject({ code: 'argo.aborted', ambiguous: true });

    // Abandoned calls are not sent when a connection is free again.
    cluster.faults.requests.remove(hold);
    await Promise.all(held);
    await client.createWorkflow(NAMESPACE, manifest('next'), { timeoutMs: 3_600_000 });
    expect(cluster.state()['requests']).toEqual({ create: 65 });
    expect(cluster.store.count('workflows')).toBe(65);
  });

  test('times out if the server sends its answer too slowly', async () => {
    const url = await serve((_request, response) => response.write('{'));
    const error = await failure(clientFor(url).getWorkflow(NAMESPACE, 'x', { timeoutMs: 200 }));
    expect(error.code).toBe('argo.timeout');
  });

  test('closing aborts running calls and rejects new ones', async () => {
    const cluster = await startCluster();
    cluster.faults.apply({ op: 'add', rule: { match: create, action: { kind: 'hang' } } });
    const client = clientFor(cluster.url);
    const call = failure(client.createWorkflow(NAMESPACE, manifest('one')));
    await expect.poll(() => cluster.state()['requests']).toEqual({ create: 1 });
    await client.close();
    expect(await call).toMatchObject({ code: 'argo.aborted' });
    expect(await failure(client.getWorkflow(NAMESPACE, 'one'))).toMatchObject({ code: 'argo.aborted' });
  });
});

describe('connections', () => {
  test('are reused: sequential calls need at most two, concurrent calls at most 64', async () => {
    const cluster = await startCluster();
    const client = clientFor(cluster.url);
    for (let count = 0; count < 20; count += 1) {
      await client.createWorkflow(NAMESPACE, manifest(`one-${count}`));
    }
    expect(cluster.state()['connections']).toBeLessThanOrEqual(2);
    await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        client.createWorkflow(NAMESPACE, manifest(`many-${index}`), { timeoutMs: 120_000 }),
      ),
    );
    expect(cluster.state()['connections']).toBeLessThanOrEqual(64);
    expect(cluster.store.count('workflows')).toBe(520);
  });

  test('of watches leave enough for calls', async () => {
    const cluster = await startCluster();
    const client = clientFor(cluster.url);
    const stop = new AbortController();
    const watches = Array.from({ length: 70 }, () => client.watchWorkflows(NAMESPACE, { signal: stop.signal }).next());
    await expect.poll(() => cluster.state()['watchers']).toBe(70);
    await client.createWorkflow(NAMESPACE, manifest('one'));
    expect(await Promise.all(watches)).toMatchObject(watches.map(() => ({ value: { type: 'ADDED' } })));
    await client.close();
    await expect.poll(() => cluster.state()['watchers']).toBe(0);
  });

  test('a 401 is retried once with fresh credentials, even for a write', async () => {
    const cluster = await startCluster({ tokens: ['new'] });
    const old = { server: cluster.url, headers: { authorization: 'Bearer old' }, tls: {} };
    const fresh = { server: cluster.url, headers: { authorization: 'Bearer new' }, tls: {} };
    const client = clientFor({
      source: 'test',
      namespace: undefined,
      connection: async (refused) => (refused === undefined ? old : fresh),
    });
    await client.createWorkflow(NAMESPACE, manifest('one'));
    expect(cluster.state()['requests']).toEqual({ create: 2 });
  });

  test.each(['ca', 'cert', 'key', 'servername'])('are replaced when the %s changes', async (field) => {
    const cluster = await startCluster();
    let renewals = 0;
    const connection: ClusterAccess['connection'] = async () => ({
      server: cluster.url,
      headers: {},
      tls: { [field]: `${renewals}` },
    });
    const client = clientFor({ source: 'test', namespace: undefined, connection });
    const counts = new Set<unknown>();
    for (; renewals < 3; renewals += 1) {
      // Sequential calls may need two.
      await client.createWorkflow(NAMESPACE, manifest(`one-${renewals}`));
      await client.createWorkflow(NAMESPACE, manifest(`two-${renewals}`));
      counts.add(cluster.state()['connections']);
    }
    expect(counts.size).toBe(3);
  });

  test('a second 401 fails the call', async () => {
    const cluster = await startCluster({ tokens: ['right'] });
    const error = await failure(clientFor(accessTo(cluster.url, 'wrong')).getWorkflow(NAMESPACE, 'one'));
    expect(isArgoError(error, 'argo.unauthorized')).toBe(true);
    expect(cluster.state()['requests']).toEqual({ get: 2 });
    expect(JSON.stringify(error) + error.message).not.toContain('wrong');
  });
});
