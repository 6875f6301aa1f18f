import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import type { CannedAnswer, FaultAction } from '../../src/sandbox/cluster/faults.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { created, emptyLedger, expectRun, requests, runOf, timePasses } from '../support/ledger.ts';
import { codexTask, event, type Message } from '../support/messages.ts';

// Invariant 3: an acknowledged run reaches Argo, or ends in a recorded state with a reason.

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(db));

const DELIVERY = event({ interactionId: 'd1' });
const CLOUD_EVENT = { 'ce-id': '1', 'ce-source': 'test', 'ce-type': 'test', 'ce-specversion': '1.0' };

describe('what the cluster refuses for good', () => {
  const REFUSALS: readonly [string, CannedAnswer][] = [
    ['RBAC', { status: 403, reason: 'Forbidden', message: 'workflows is forbidden: quota exceeded' }],
    ['an admission rule', { status: 422, reason: 'Invalid', message: 'spec.priority: Invalid value' }],
    ['its size limit', { status: 413, reason: 'RequestEntityTooLarge', message: 'limit is 3145728' }],
    ["etcd's limit", { status: 500, message: 'etcdserver: request is too large' }],
    ['not knowing workflows', { status: 404, reason: 'NotFound', message: 'the server could not find the resource' }],
    ['its syntax', { status: 400, reason: 'BadRequest', message: 'json: cannot unmarshal' }],
  ];

  test.each(REFUSALS)('by %s: 422 with the reason, the same on every replay, and tried once', async (_by, answer) => {
    const facteur = await startFacteur({ db });
    const rule = facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer } });
    const refused = await facteur.send(DELIVERY, CLOUD_EVENT);
    expect(refused).toMatchObject({
      status: 422,
      body: { error: 'workflow refused', details: expect.any(String), duplicate: false, deliveryId: 'd1' },
    });
    const run = await runOf(db, 'd1');
    expect(run).toMatchObject({ state: 'refused', reason: refused.body.details, due_at: null });

    // A person sees it, whatever the cluster says by now.
    facteur.cluster.faults.requests.remove(rule);
    await timePasses(db);
    expect(await facteur.send(DELIVERY)).toMatchObject({
      status: 422,
      body: { ...refused.body, duplicate: true },
    });
    const shown = await facteur.cli('runs', 'show', 'd1');
    expect(shown.stdout).toContain('refused');
    expect(shown.stdout).toContain(refused.body.details);
    expect((await facteur.cli('dead-letters', 'list')).stdout).toContain('d1');
    expect(requests(facteur.cluster, 'create')).toBe(1);
    expect(created(facteur.cluster)).toEqual([]);
  });

  test('by having no such namespace: the reason names it', async () => {
    const facteur = await startFacteur({ db, env: { FACTEUR_ARGO_NAMESPACE: 'nowhere' } });
    const answer = await facteur.send(DELIVERY);
    expect(answer).toMatchObject({ status: 422, body: { details: 'namespaces "nowhere" not found' } });
  });

  test('a workflow larger than Argo takes is refused before the ledger', async () => {
    const facteur = await startFacteur({ db });
    const large = event({ interactionId: 'd1', options: { objective: 'x'.repeat(1024 * 1024) } });
    expect(await facteur.send(large)).toMatchObject({ status: 422, body: { error: 'workflow too large' } });
    expect(await runOf(db, 'd1')).toBeUndefined();
  });
});

describe('what may work the next time', () => {
  const page = { body: '<html>no</html>' };
  const answers: readonly CannedAnswer[] = [
    { status: 500, message: 'etcdserver: leader changed' },
    { status: 503, reason: 'ServiceUnavailable' },
    { status: 504, reason: 'Timeout' },
    { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 },
    { status: 401, reason: 'Unauthorized' },
    // Not the API's own words: a proxy that does not know better.
    ...[403, 404, 409, 422, 502].map((status) => ({ status, ...page })),
    { status: 200, ...page },
  ];
  const TROUBLES: readonly [string, FaultAction][] = [
    ...answers.map((answer): [string, FaultAction] => [
      `${answer.status}${answer.body === undefined ? '' : ' from a proxy'}`,
      { kind: 'answer', answer },
    ]),
    ['a reset', { kind: 'reset' }],
  ];

  test.each(TROUBLES)('%s: queued, with the reason, and submitted without anybody’s help', async (_what, action) => {
    const facteur = await startFacteur({ db });
    const rule = facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action });
    const messages: readonly Message[] = [DELIVERY, codexTask({ deliveryId: 'd2' })];
    for (const answer of await Promise.all(messages.map((message) => facteur.send(message)))) {
      expect(answer).toMatchObject({ status: 202, body: { status: 'queued' } });
    }
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'queued', reason: expect.stringMatching(/./) });
    facteur.cluster.faults.requests.remove(rule);
    await expectRun(db, 'd1', 'submitted');
    await expectRun(db, 'd2', 'submitted');
    expect(created(facteur.cluster)).toHaveLength(2);
    expect((await runOf(db, 'd1')).reason).toBe('');
  });

  test('the cluster is gone for a while: nothing is lost', async () => {
    const facteur = await startFacteur({ db });
    await facteur.cluster.disconnect();
    const ids = Array.from({ length: 20 }, (_, index) => `gone-${index}`);
    const accepted = await Promise.all(ids.map((interactionId) => facteur.send(event({ interactionId }))));
    expect(accepted.map(({ status, body }) => `${status} ${body.status}`)).toEqual(ids.map(() => '202 queued'));
    await facteur.cluster.reconnect();
    await Promise.all(ids.map((id) => expectRun(db, id, 'submitted')));
    expect(created(facteur.cluster).toSorted()).toEqual(accepted.map(({ body }) => body.workflowName).toSorted());
  });

  test('what the cluster asks to wait is waited', async () => {
    const facteur = await startFacteur({ db });
    const answer = { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 120 };
    facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer } });
    await facteur.send(DELIVERY);
    const { due_at: dueAt } = await runOf(db, 'd1');
    expect(dueAt.getTime() - Date.now()).toBeGreaterThan(100_000);
  });

  test('waits grow from try to try', async () => {
    const facteur = await startFacteur({ db });
    facteur.cluster.faults.requests.add({
      match: { verb: 'create' },
      action: { kind: 'answer', answer: { status: 500 } },
    });
    await facteur.send(DELIVERY);
    await db.query({ text: 'UPDATE facteur.runs SET attempts = 20' });
    await timePasses(db);
    await expect.poll(async () => (await runOf(db, 'd1')).attempts).toBe(21);
    await expect.poll(async () => (await runOf(db, 'd1')).due_at.getTime() - Date.now()).toBeGreaterThan(25_000);
  });

  test('after a day it is given up, with the last reason', async () => {
    const facteur = await startFacteur({ db });
    const answer = { status: 429, reason: 'TooManyRequests', message: 'quota of the day' };
    const rule = facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer } });
    await facteur.send(DELIVERY);
    await db.query({ text: `UPDATE facteur.runs SET accepted_at = now() - interval '25 hours', attempts = 99` });
    await timePasses(db);
    const { reason } = await expectRun(db, 'd1', 'refused');
    expect(reason).toBe('gave up after 100 tries: quota of the day');
    facteur.cluster.faults.requests.remove(rule);
    expect(await facteur.send(DELIVERY)).toMatchObject({ status: 422, body: { details: reason } });
  });
});
