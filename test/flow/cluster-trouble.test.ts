import { readFile } from 'node:fs/promises';
import { describe, expect } from 'vitest';
import type { Queryable } from '../../src/clients/postgres/database.ts';
import type { CannedAnswer, FaultAction } from '../../sandbox/cluster/faults.ts';
import { NAMESPACE, startCluster } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { created, expectRun, requests, runOf, timePasses } from '../support/ledger.ts';
import { codexTask, event, type Message } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Invariant 3: an acknowledged run reaches Argo, or ends in a recorded state with a reason.

/** By the database's clock, in milliseconds since 1970. */
async function databaseTime(): Promise<number> {
  const { rows } = await db.query<{ now: Date }>({ text: 'SELECT now()' });
  return rows[0]?.now.getTime() ?? NaN;
}

const DELIVERY = event({ interactionId: 'd1' });
/** Makes the run look refused for this many seconds, and due. */
async function refusedFor(queryable: Queryable, seconds: number): Promise<void> {
  await queryable.query({
    text: `UPDATE facteur.runs SET refused_since = now() - make_interval(secs => $1)`,
    values: [seconds],
  });
  await timePasses(queryable);
}

const CLOUD_EVENT = { 'ce-id': '1', 'ce-source': 'test', 'ce-type': 'test', 'ce-specversion': '1.0' };

describe('a permanent refusal', () => {
  const REFUSALS: readonly [string, CannedAnswer][] = [
    ['an admission rule', { status: 422, reason: 'Invalid', message: 'spec.priority: Invalid value' }],
    ["the cluster's size limit", { status: 413, reason: 'RequestEntityTooLarge', message: 'limit is 3145728' }],
    ["etcd's limit", { status: 500, message: 'etcdserver: request is too large' }],
    ['invalid syntax', { status: 400, reason: 'BadRequest', message: 'json: cannot unmarshal' }],
  ];

  test.each(REFUSALS)(
    'due to %s: 422 with the reason, the same on every replay, after one attempt',
    async (_by, answer) => {
      const facteur = await startFacteur({ db });
      const rule = facteur.cluster.faults.requests.add({
        match: { verb: 'create' },
        action: { kind: 'answer', answer },
      });
      const refused = await facteur.send(DELIVERY, CLOUD_EVENT);
      expect(refused).toMatchObject({
        status: 422,
        body: { error: 'workflow refused', details: expect.any(String), duplicate: false, deliveryId: 'd1' },
      });
      const run = await runOf(db, 'd1');
      expect(run).toMatchObject({ state: 'refused', reason: refused.body.details, due_at: null });

      // The refusal stays visible, whatever the cluster would answer now.
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
    },
  );

  test('due to a missing namespace: the reason names it', async () => {
    const facteur = await startFacteur({ db, env: { FACTEUR_ARGO_NAMESPACE: 'nowhere' } });
    const answer = await facteur.send(DELIVERY);
    expect(answer).toMatchObject({ status: 422, body: { details: 'namespaces "nowhere" not found' } });
  });

  test.each([
    ['plain text', 'x', 455_000],
    ['a character that Go escapes to six bytes', '<', 77_000],
    ['line separators, which it escapes likewise', '\u2028', 77_000],
  ])('due to its size, which the cluster would store twice: %s', async (_what, character, times) => {
    const facteur = await startFacteur({ db });
    const sized = (interactionId: string, count: number) =>
      event({ interactionId, options: { objective: character.repeat(count) } });
    expect(await facteur.send(sized('d1', Math.ceil(times * 1.02)))).toMatchObject({
      status: 422,
      body: { error: 'workflow too large', details: expect.stringContaining('the limit is 460800 (450 KiB)') },
    });
    expect(await runOf(db, 'd1')).toBeUndefined();
    expect(await facteur.send(sized('d2', Math.floor(times * 0.98)))).toMatchObject({ status: 202 });
    const { workflow_name: name } = await expectRun(db, 'd2', 'submitted');
    const phase = () => facteur.cluster.store.get('workflows', NAMESPACE, name).object.status?.['phase'];
    await expect.poll(phase).toBe('Running');
  });
});

test('a failing webhook: the run waits and names it, and the log has the cause', async () => {
  const facteur = await startFacteur({ db });
  const message = `Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post "https://policy.security.svc:443/": context deadline exceeded`;
  const answer: CannedAnswer = { status: 500, reason: 'InternalError', message };
  const rule = facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer } });
  expect(await facteur.send(DELIVERY)).toMatchObject({ status: 202, body: { status: 'queued' } });
  await expectRun(db, 'd1', 'queued');
  expect(await runOf(db, 'd1')).toMatchObject({ reason: 'the admission webhook "policy.example.com" failed' });
  expect(facteur.log.map((line) => JSON.parse(line) as object)).toContainEqual(
    expect.objectContaining({ message: 'run postponed', cause: message }),
  );
  facteur.cluster.faults.requests.remove(rule);
  await timePasses(db);
  await facteur.send(DELIVERY);
  await expectRun(db, 'd1', 'submitted');
});

describe('a refusal that may come from a cluster that is starting', () => {
  const NOES: readonly [string, CannedAnswer][] = [
    [
      '403',
      { status: 403, reason: 'Forbidden', message: 'workflows.argoproj.io is forbidden: User "x" cannot create' },
    ],
    ['404 without a name', { status: 404, reason: 'NotFound', message: 'the server could not find the resource' }],
    ['401', { status: 401, reason: 'Unauthorized', message: 'Unauthorized' }],
  ];

  test.each(NOES)('%s: the run waits, and is refused after 30 s', async (what, answer) => {
    const reason = what === '401' ? "the cluster rejects facteur's credentials" : answer.message;
    const facteur = await startFacteur({ db });
    facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer } });
    expect(await facteur.send(DELIVERY)).toMatchObject({ status: 202, body: { status: 'queued' } });
    await refusedFor(db, 25);
    await expect.poll(async () => (await runOf(db, 'd1')).attempts).toBeGreaterThan(1);
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'queued', reason });
    await refusedFor(db, 31);
    expect(await expectRun(db, 'd1', 'refused')).toMatchObject({ reason, due_at: null });
    expect(await facteur.send(DELIVERY)).toMatchObject({ status: 422, body: { details: reason } });
  });

  test.each(NOES)('%s for a while: the run is submitted automatically', async (_what, answer) => {
    const facteur = await startFacteur({ db });
    const rule = facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer } });
    await facteur.send(DELIVERY);
    facteur.cluster.faults.requests.remove(rule);
    await expectRun(db, 'd1', 'submitted');
    expect(await runOf(db, 'd1')).toMatchObject({ reason: '' });
  });

  test('refusals of a cluster that is not ready never end a run', async () => {
    const facteur = await startFacteur({ db });
    facteur.cluster.faults.apply({ op: 'startup', stage: 'forbidden' });
    await facteur.send(DELIVERY);
    const { attempts } = await runOf(db, 'd1');
    await refusedFor(db, 3600);
    await expect.poll(async () => (await runOf(db, 'd1')).attempts).toBeGreaterThan(attempts);
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'queued', reason: expect.stringContaining('forbidden') });
    facteur.cluster.faults.apply({ op: 'startup', stage: 'ready' });
    await timePasses(db);
    await expectRun(db, 'd1', 'submitted');
  });

  test('a restart of the cluster loses no run', async () => {
    const cluster = await startCluster({ startupMs: 3_600_000 });
    const facteur = await startFacteur({ db, cluster });
    await cluster.disconnect();
    const ids = Array.from({ length: 20 }, (_, index) => `restart-${index}`);
    await Promise.all(ids.map((interactionId) => facteur.send(event({ interactionId }))));
    await cluster.reconnect();
    for (const id of ids) {
      await timePasses(db);
      await expect.poll(async () => (await runOf(db, id)).reason).toContain('forbidden');
    }
    cluster.faults.apply({ op: 'startup', stage: 'ready' });
    await timePasses(db);
    await Promise.all(ids.map((id) => expectRun(db, id, 'submitted')));
    expect(created(cluster)).toHaveLength(ids.length);
  });
});

describe('a quota', () => {
  test('that is exhausted for three attempts, with the answer of a real cluster: the run is submitted', async () => {
    const facteur = await startFacteur({ db });
    const { status, body } = JSON.parse(await readFile('test/cases/quota-exceeded.k8s.json', 'utf8'));
    const answer = { status, body: JSON.stringify(body), contentType: 'application/json' };
    facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer }, times: 3 });
    expect(await facteur.send(DELIVERY, CLOUD_EVENT)).toMatchObject({ status: 202, body: { status: 'queued' } });
    await expectRun(db, 'd1', 'submitted');
    expect((await facteur.cli('dead-letters', 'list')).stdout).not.toContain('d1');
  });

  test.each([
    [{ name: 'wf', limit: 0 }, /^waiting for room in the namespace's quota: exceeded quota: wf, requested: count\//],
    [
      { name: 'wf', limit: 9, counted: false },
      /^waiting for room in the namespace's quota: status unknown for quota: wf/,
    ],
  ])('%j: the run waits without a time limit, and its reason says so', async (quota, words) => {
    const facteur = await startFacteur({ db });
    facteur.cluster.faults.apply({ op: 'quota', namespace: NAMESPACE, quota });
    await facteur.send(DELIVERY);
    await refusedFor(db, 3600);
    // facteur gives up on other runs at this age, after this many attempts.
    await db.query({ text: `UPDATE facteur.runs SET accepted_at = now() - interval '3 days', attempts = 99` });
    await timePasses(db);
    await expect.poll(async () => (await runOf(db, 'd1')).attempts).toBeGreaterThan(99);
    await expect.poll(async () => (await runOf(db, 'd1')).claimed_until).toBeNull();
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'queued', reason: expect.stringMatching(words) });
    facteur.cluster.faults.apply({ op: 'quota', namespace: NAMESPACE });
    await timePasses(db);
    await expectRun(db, 'd1', 'submitted');
  });
});

describe('a transient failure', () => {
  const page = { body: '<html>no</html>' };
  const answers: readonly CannedAnswer[] = [
    { status: 500, message: 'etcdserver: leader changed' },
    { status: 503, reason: 'ServiceUnavailable' },
    { status: 504, reason: 'Timeout' },
    { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 },
    // Not from the API itself, but from a proxy.
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

  test.each(TROUBLES)('%s: the run is queued with the reason, and submitted automatically', async (_what, action) => {
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

  test('a cluster that is down for a while: no run is lost', async () => {
    const facteur = await startFacteur({ db });
    await facteur.cluster.disconnect();
    const ids = Array.from({ length: 20 }, (_, index) => `gone-${index}`);
    const accepted = await Promise.all(ids.map((interactionId) => facteur.send(event({ interactionId }))));
    expect(accepted.map(({ status, body }) => `${status} ${body.status}`)).toEqual(ids.map(() => '202 queued'));
    await facteur.cluster.reconnect();
    await Promise.all(ids.map((id) => expectRun(db, id, 'submitted')));
    expect(created(facteur.cluster).toSorted()).toEqual(accepted.map(({ body }) => body.workflowName).toSorted());
  });

  test('a retry waits as long as the cluster asks', async () => {
    const facteur = await startFacteur({ db });
    const answer = { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 120 };
    facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer } });
    await facteur.send(DELIVERY);
    const { due_at: dueAt, accepted_at: acceptedAt } = await runOf(db, 'd1');
    expect(dueAt.getTime() - acceptedAt.getTime()).toBeGreaterThanOrEqual(120_000);
  });

  test('waits grow with each attempt', async () => {
    const facteur = await startFacteur({ db });
    facteur.cluster.faults.requests.add({
      match: { verb: 'create' },
      action: { kind: 'answer', answer: { status: 500 } },
    });
    await facteur.send(DELIVERY);
    await db.query({ text: 'UPDATE facteur.runs SET attempts = 20' });
    const before = await databaseTime();
    await timePasses(db);
    await expect.poll(async () => (await runOf(db, 'd1')).attempts).toBe(21);
    await expect.poll(async () => (await runOf(db, 'd1')).due_at.getTime() - before).toBeGreaterThan(25_000);
  });

  test('a run is given up after a day, with the last reason', async () => {
    const facteur = await startFacteur({ db });
    const answer = { status: 429, reason: 'TooManyRequests', message: 'quota of the day' };
    const rule = facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer } });
    await facteur.send(DELIVERY);
    await db.query({ text: `UPDATE facteur.runs SET accepted_at = now() - interval '25 hours', attempts = 99` });
    await timePasses(db);
    const { reason } = await expectRun(db, 'd1', 'refused');
    expect(reason).toBe('gave up after 100 attempts: quota of the day');
    facteur.cluster.faults.requests.remove(rule);
    expect(await facteur.send(DELIVERY)).toMatchObject({ status: 422, body: { details: reason } });
  });
});
