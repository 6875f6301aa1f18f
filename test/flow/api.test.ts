import { randomUUID } from 'node:crypto';
import { describe, expect, onTestFinished, vi } from 'vitest';
import { globalRegistry } from 'zod';
import { API_ROUTES } from '../../src/entry/api/routes.ts';
import { keepDeadLetter } from '../../src/ledger/unprocessed.ts';
import { callApi } from '../support/api.ts';
import { unavailable } from '../support/faulty-database.ts';
import { startFacteur } from '../support/facteur.ts';
import { event } from '../support/messages.ts';
import { forceState } from '../support/runs.ts';
import { expectRun } from '../support/ledger.ts';
import { RawClient } from '../support/raw-client.ts';
import { db, test } from '../support/ledger-fixture.ts';

const TOKENS = JSON.stringify([
  'plain-token',
  { name: 'board', scope: 'read', token: 'read-token' },
  { name: 'ops', scope: 'operate', token: 'operate-token' },
]);
const WITH_TOKENS = { FACTEUR_SERVER_API_TOKENS: TOKENS };
const SCOPE_TOKENS = { read: 'read-token', operate: 'operate-token', admin: 'plain-token' } as const;
const WEAKER = { read: [], operate: ['read-token'], admin: ['read-token', 'operate-token'] } as const;

/** The path of a route, with valid values that refer to nothing. */
function somewhere(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => (name.endsWith('Id') ? randomUUID() : '1'));
}

test.each(API_ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))(
  '%s: 401 without a token, 403 with a weaker one, and nothing is written',
  async (_name, { method, path, who }) => {
    const facteur = await startFacteur({ db, env: WITH_TOKENS });
    const where = `${method} ${somewhere(path)}`;
    expect(await callApi(facteur.url, where)).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    expect(await callApi(facteur.url, where, { token: 'wrong' })).toMatchObject({ status: 401 });
    for (const token of WEAKER[who.scope]) {
      expect(await callApi(facteur.url, where, { token })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    }
    const { status } = await callApi(facteur.url, where, { token: SCOPE_TOKENS[who.scope] });
    expect([401, 403]).not.toContain(status);
    const { rows } = await db.query({ text: 'SELECT count(*)::int FROM codex_kb.run_events' });
    expect(rows).toEqual([{ count: 0 }]);
  },
);

describe('without tokens', () => {
  const STRANGERS: readonly [string, Record<string, string>][] = [
    ['a proxy on this machine', { 'x-forwarded-for': '203.0.113.7' }],
    ['a proxy that sends the standard header', { forwarded: 'for=203.0.113.7' }],
    ['a cache on this machine', { via: '1.1 cache' }],
    ['a proxy that names the client', { 'x-real-ip': '203.0.113.7' }],
    ['a proxy that names the host', { 'x-forwarded-host': 'facteur.example' }],
    ['a page in a browser', { origin: 'https://evil.example' }],
  ];
  test.each(STRANGERS)('a request from %s needs a token', async (_who, headers) => {
    const facteur = await startFacteur({ db });
    expect(await callApi(facteur.url, 'GET /v1/runs', { headers })).toMatchObject({ status: 401 });
  });

  test('a request from this machine is allowed', async () => {
    const facteur = await startFacteur({ db });
    expect(await callApi(facteur.url, 'GET /v1/runs')).toMatchObject({ status: 200, body: { runs: [], next: null } });
  });
});

test('runs are listed in pages and by filters, and the answer is 304 while nothing has changed', async () => {
  const facteur = await startFacteur({ db });
  for (const id of ['a', 'b', 'c']) {
    await facteur.send(event({ interactionId: id, user: { id: '42' }, options: { objective: id } }));
    await expectRun(db, id, 'submitted');
  }
  const one = await callApi(facteur.url, 'GET /v1/runs?limit=2&user=42&command=plan');
  expect(one.body.runs).toHaveLength(2);
  const two = await callApi(facteur.url, `GET /v1/runs?limit=2&user=42&cursor=${one.body.next}`);
  expect(two.body.next).toBeNull();
  const ids = [...one.body.runs, ...two.body.runs].map(({ deliveryId }: { deliveryId: string }) => deliveryId);
  expect(ids.toSorted()).toEqual(['a', 'b', 'c']);
  expect((await callApi(facteur.url, 'GET /v1/runs?state=failed,lost')).body.runs).toEqual([]);
  const headers = { 'if-none-match': two.headers.get('etag') ?? '' };
  const again = await callApi(facteur.url, `GET /v1/runs?limit=2&user=42&cursor=${one.body.next}`, { headers });
  expect(again).toMatchObject({ status: 304, body: undefined });
  const url = `${facteur.url}/v1/runs?limit=2&user=42&cursor=${one.body.next}`;
  const head = await fetch(url, { method: 'HEAD' });
  expect(head.headers.get('etag')).toBe(two.headers.get('etag'));
  expect((await fetch(url, { method: 'HEAD', headers })).status).toBe(304);
});

test('runs that were accepted within one millisecond are each on exactly one page', async () => {
  const facteur = await startFacteur({ db });
  for (const id of ['a', 'b', 'c', 'd']) {
    await facteur.send(event({ interactionId: id }));
  }
  // As the Go service recorded them.
  await db.query({
    text: `UPDATE facteur.runs SET accepted_at = timestamptz '2026-01-02 03:04:05.678Z'
      + CASE delivery_id WHEN 'a' THEN 1 WHEN 'b' THEN 400 ELSE 999 END * interval '1 microsecond'`,
  });
  const pages: string[] = [];
  let next: string | null = '';
  while (next !== null) {
    const cursor: string = next === '' ? '' : `&cursor=${next}`;
    const { body } = await callApi(facteur.url, `GET /v1/runs?limit=1${cursor}`);
    pages.push(...body.runs.map(({ deliveryId }: { deliveryId: string }) => deliveryId));
    next = body.next;
  }
  expect([pages.slice(0, 2).toSorted(), ...pages.slice(2)]).toEqual([['c', 'd'], 'b', 'a']);
  const { stdout } = await facteur.cli('runs', 'list', '--before', 'b', '--json');
  expect(stdout.trim().split('\n')).toEqual([expect.stringContaining('"deliveryId":"a"')]);
});

test('a run is shown with its request, its history and a link to its workflow', async () => {
  const facteur = await startFacteur({ db, env: { FACTEUR_ARGO_UI_URL: 'https://argo.example.org' } });
  const { body } = await facteur.send(event({ interactionId: 'd1', options: { objective: 'Show it' } }));
  await expectRun(db, 'd1', 'submitted');
  const shown = await callApi(facteur.url, `GET /v1/runs/${body.runId}`);
  expect(shown.body).toMatchObject({
    runId: body.runId,
    request: { parameters: { objective: 'Show it' } },
    events: [{ type: 'state.change' }, { type: 'state.change' }],
    links: { workflow: expect.stringContaining(`/${body.workflowName}`) },
  });
  const missing = await callApi(facteur.url, `GET /v1/runs/${randomUUID()}`);
  expect(missing).toMatchObject({ status: 404, body: { code: 'run_not_found', status: 404, title: 'Not Found' } });
});

test('a run is canceled and retried, and its history records who did it', async () => {
  const facteur = await startFacteur({ db, env: WITH_TOKENS });
  const { body } = await facteur.send(event({ interactionId: 'd1' }));
  await expectRun(db, 'd1', 'submitted');
  const token = 'operate-token';
  const canceled = await callApi(facteur.url, `POST /v1/runs/${body.runId}/cancel`, { token });
  expect(canceled).toMatchObject({ status: 202, body: { runId: body.runId, state: 'submitted' } });
  const early = await callApi(facteur.url, `POST /v1/runs/${body.runId}/retry`, { token });
  expect(early).toMatchObject({ status: 409, body: { code: 'run_not_retryable' } });
  await forceState(db, body.runId, 'failed');
  const retried = await callApi(facteur.url, `POST /v1/runs/${body.runId}/retry`, { token });
  expect(retried).toMatchObject({ status: 202, body: { duplicate: false } });
  const twice = await callApi(facteur.url, `POST /v1/runs/${body.runId}/retry`, { token });
  expect(twice.body).toEqual({ ...retried.body, duplicate: true });
  const { events } = (await callApi(facteur.url, `GET /v1/runs/${body.runId}`, { token })).body;
  expect(events.filter(({ actor }: { actor: string }) => actor === 'api ops')).toMatchObject([
    { type: 'cancel.requested' },
    { type: 'retry.requested', payload: { runId: retried.body.runId } },
  ]);
});

test('dead letters are listed and shown', async () => {
  const facteur = await startFacteur({ db });
  await keepDeadLetter(db, {
    door: 'http',
    deliveryId: 'd1',
    reason: 'invalid payload',
    attempts: 1,
    headers: { ':path': '/events' },
    body: Buffer.from('{'),
  });
  const { body } = await callApi(facteur.url, 'GET /v1/dead-letters');
  expect(body.deadLetters).toMatchObject([{ deliveryId: 'd1', bytes: 1, outcome: '' }]);
  const shown = await callApi(facteur.url, `GET /v1/dead-letters/${body.deadLetters[0].id}`);
  expect(shown.body).toMatchObject({ headers: { ':path': '/events' }, body: 'ew==' });
  expect((await callApi(facteur.url, 'GET /v1/refusals?user=42')).body).toEqual({ refusals: [] });
});

test('all errors of a request are listed at once', async () => {
  const facteur = await startFacteur({ db });
  const nul = await callApi(facteur.url, 'GET /v1/runs?command=%00');
  expect(nul).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'query.command', message: 'must not contain NUL' }] },
  });
  const others = await callApi(facteur.url, 'GET /v1/runs?limit=0&state=odd&colour=red&cursor=!');
  expect(others.body.errors.map(({ field }: { field: string }) => field).toSorted()).toEqual([
    'query.colour',
    'query.cursor',
    'query.limit',
    'query.state',
  ]);
  const repeated = await callApi(facteur.url, 'GET /v1/runs?limit=abc&state=odd,even');
  expect(repeated.body.errors.map(({ field }: { field: string }) => field)).toEqual(['query.state', 'query.limit']);
  const id = await callApi(facteur.url, 'GET /v1/runs/7');
  expect(id.body.errors).toEqual([{ field: 'path.runId', message: 'must be a UUID' }]);
  const forged = await callApi(facteur.url, `GET /v1/runs?cursor=${randomUUID()}`);
  expect(forged).toMatchObject({ status: 400, body: { errors: [{ field: 'query.cursor' }] } });
});

test('a reference together with other filters is rejected: they would not apply', async () => {
  const facteur = await startFacteur({ db });
  const { runId } = (await facteur.send(event({ interactionId: 'd1' }))).body;
  const found = await callApi(facteur.url, `GET /v1/runs?reference=${runId}&limit=1`);
  expect(found.body.runs).toMatchObject([{ runId }]);
  for (const other of ['state=failed', 'command=x', 'user=7', 'door=api', 'text=x', `cursor=${runId}`]) {
    const refused = await callApi(facteur.url, `GET /v1/runs?reference=${runId}&${other}`);
    expect(refused).toMatchObject({ status: 400, body: { errors: [{ field: 'query.reference' }] } });
  }
});

test('unknown paths, other methods and malformed paths get problem documents, too', async () => {
  const facteur = await startFacteur({ db });
  const PROBLEM = 'application/problem+json';
  const missing = await callApi(facteur.url, 'GET /v1/nowhere');
  expect(missing).toMatchObject({ status: 404, body: { type: 'urn:facteur:problem:not_found' } });
  expect(missing.headers.get('content-type')).toBe(PROBLEM);
  const wrong = await callApi(facteur.url, 'DELETE /v1/runs');
  expect(wrong).toMatchObject({ status: 405, body: { code: 'method_not_allowed' } });
  expect(wrong.headers.get('allow')).toContain('GET');
  const unusual = await fetch(`${facteur.url}/v1/runs`, { method: 'QUERY' });
  expect([unusual.status, unusual.headers.get('content-type')]).toEqual([405, PROBLEM]);
  const broken = await callApi(facteur.url, 'GET /v1/runs/%zz');
  expect(broken).toMatchObject({ status: 400 });
  expect(broken.headers.get('content-type')).toBe(PROBLEM);
  // Only under /v1: the older doors keep their format.
  expect(await (await fetch(`${facteur.url}/nowhere`)).json()).toEqual({ error: 'not found' });
});

test('an invalid content type is rejected like any other, and ignored by routes that read no body', async () => {
  const facteur = await startFacteur({ db });
  const { runId } = (await facteur.send(event({ interactionId: 'd1' }))).body;
  for (const type of ['json', 'text/plain', 'application/json, text/plain']) {
    const headers = { 'content-type': type };
    const refused = await callApi(facteur.url, 'POST /v1/runs', { bytes: '{"command": "plan"}', headers });
    expect(refused).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
    expect(await callApi(facteur.url, `POST /v1/runs/${runId}/cancel`, { headers })).toMatchObject({ status: 202 });
  }
});

test('an absolute URL as the request target works at every door', async () => {
  const facteur = await startFacteur({ db });
  const client = await RawClient.connect(Number(new URL(facteur.url).port));
  for (const path of ['', '?x', '/v1/runs', '/v1/runs?limit=1', '/READYZ', '/v1/nowhere']) {
    await client.send(`GET http://facteur.example${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  }
  await client.answers(6);
  client.close();
  expect(client.statuses).toEqual([200, 200, 200, 200, 200, 404]);
  expect(client.received).toContain('application/problem+json');
});

test('the OpenAPI document is served, and built only once', async () => {
  const facteur = await startFacteur({ db });
  const { body } = await callApi(facteur.url, 'GET /v1/openapi.json');
  expect(body).toMatchObject({ openapi: '3.1.1', paths: { '/v1/runs': { get: { operationId: 'listRuns' } } } });
  // Building it looks up the name of each schema.
  const names = vi.spyOn(globalRegistry, 'get');
  onTestFinished(() => names.mockRestore());
  expect((await callApi(facteur.url, 'GET /v1/openapi.json')).body).toEqual(body);
  expect(names).not.toHaveBeenCalled();
});

test('while the database is unavailable, the answer is 503 with Retry-After', async () => {
  const facteur = await startFacteur({ db });
  facteur.faults.before = unavailable;
  const { status, headers } = await callApi(facteur.url, 'GET /v1/runs');
  expect(status).toBe(503);
  expect(headers.get('retry-after')).toBe('5');
});

test('only a limited number of reads of one connection wait for the database', async () => {
  const facteur = await startFacteur({ db });
  // `/v1` is loaded on its first request.
  await callApi(facteur.url, 'GET /v1/commands');
  const { promise, resolve } = Promise.withResolvers<void>();
  onTestFinished(() => resolve());
  let waiting = 0;
  facteur.faults.before = () => {
    waiting += 1;
    return promise;
  };
  const flood = await RawClient.connect(Number(new URL(facteur.url).port));
  await flood.send('GET /v1/runs HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(400));
  await expect.poll(async () => (await callApi(facteur.url, 'GET /v1/commands')).body.code).toBe('unavailable');
  expect(waiting).toBeLessThan(400);
  resolve();
  await flood.answers(400);
  flood.close();
  expect(new Set(flood.statuses)).toEqual(new Set([200, 503]));
  expect(await callApi(facteur.url, 'GET /v1/commands')).toMatchObject({ status: 200 });
});
