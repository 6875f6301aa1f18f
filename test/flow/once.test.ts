import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import { workflowName } from '../../src/domain/workflow-name.ts';
import type { FaultAction } from '../../src/sandbox/cluster/faults.ts';
import { manifest, NAMESPACE, seed, startCluster } from '../support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startFacteur } from '../support/facteur.ts';
import { created, emptyLedger, expectRun, runOf, timePasses, wholeLedger } from '../support/ledger.ts';
import { asProtobuf, codexTask, event, type Answer, type Message } from '../support/messages.ts';

// Invariant 2: one delivery id, at most one workflow, ever.

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(db));

const DOORS: readonly [string, Message][] = [
  ['/events', event({ interactionId: 'd1', options: { objective: 'Once' } })],
  ['/codex/tasks', codexTask({ deliveryId: 'd1' })],
];

/** What must be the same in every answer to one delivery. */
function sameness({ status, body: { duplicate: _duplicate, ...rest } }: Answer): unknown {
  return { status, ...rest };
}

describe.each(DOORS)('%s', (_path, message) => {
  test('twenty at once, JSON and protobuf mixed: one workflow, one answer, one of them no duplicate', async () => {
    const facteur = await startFacteur({ db });
    const variants = [message, asProtobuf(message)];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => facteur.send(variants[index % 2] ?? message)),
    );
    expect(created(facteur.cluster)).toHaveLength(1);
    expect(new Set(answers.map((answer) => JSON.stringify(sameness(answer)))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 202, body: { status: 'submitted' } });
    expect(answers.filter(({ body }) => body.duplicate === false)).toHaveLength(1);
  });

  test('twenty at once on two replicas: the same', async () => {
    const one = await startFacteur({ db });
    const two = await startFacteur({ db, cluster: one.cluster });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : two).send(message)),
    );
    expect(created(one.cluster)).toHaveLength(1);
    expect([...new Set(answers.map((answer) => JSON.stringify(sameness(answer))))]).toHaveLength(1);
    expect(answers[0]).toMatchObject({ status: 202, body: { status: 'submitted' } });
    expect(answers.filter(({ body }) => body.duplicate === false)).toHaveLength(1);
  });

  test('a replay after a restart, on whatever process, changes no row and submits nothing', async () => {
    const first = await startFacteur({ db });
    const answer = await first.send(message);
    await first.app.close();
    const before = await wholeLedger(db);
    const second = await startFacteur({ db, cluster: first.cluster });
    const replay = await second.send(message);
    expect(replay.body).toEqual({ ...answer.body, duplicate: true });
    expect(await wholeLedger(db)).toBe(before);
    expect(created(first.cluster)).toHaveLength(1);
  });

  test('a replay after the workflow was garbage-collected makes no other one', async () => {
    const facteur = await startFacteur({ db });
    const { body } = await facteur.send(message);
    facteur.cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: body.workflowName });
    expect((await facteur.send(message)).body).toEqual({ ...body, duplicate: true });
    await timePasses(db);
    expect((await facteur.send(message)).body).toEqual({ ...body, duplicate: true });
    expect(created(facteur.cluster)).toEqual([body.workflowName]);
  });

  test('a replay of a finished run keeps its state and its rows', async () => {
    const cluster = await startCluster({ defaults: { pendingMs: 0, startMs: 0, stepMs: 0 } });
    const following = await startFacteur({ db, cluster, roles: ['http', 'submit', 'follow'] });
    const { body } = await following.send(message);
    await expectRun(db, 'd1', 'succeeded');
    await following.app.close();
    const before = await wholeLedger(db);
    const facteur = await startFacteur({ db, cluster });
    const replay = await facteur.send(message);
    expect(replay).toMatchObject({ status: 202, body: { ...body, duplicate: true, status: 'submitted' } });
    expect(await wholeLedger(db)).toBe(before);
  });

  test('a foreign workflow under the reserved name is left alone, and the run gets another name', async () => {
    const now = new Date('2026-02-03T04:05:06.789Z');
    const facteur = await startFacteur({ db, context: { clock: { now: () => now } } });
    const prefix = message.path === '/events' ? 'plan' : 'github-codex-implementation-';
    const [taken, next] = [workflowName(prefix, now, 'd1'), workflowName(prefix, now, 'd1', 1)];
    seed(facteur.cluster, manifest(taken, { 'facteur.proompteng.ai/delivery': 'of-somebody-else' }));
    const answer = await facteur.send(message);
    expect(answer).toMatchObject({ status: 202, body: { status: 'submitted', workflowName: next } });
    expect(created(facteur.cluster)).toEqual([taken, next]);
    expect((await facteur.send(message)).body).toEqual({ ...answer.body, duplicate: true });
    const uid = facteur.cluster.store.get('workflows', NAMESPACE, next).object.metadata.uid;
    expect(await runOf(db, 'd1')).toMatchObject({ workflow_name: next, workflow_uid: uid });
  });

  test('a copy with our labels, as a resubmission makes it, is not taken for ours', async () => {
    const facteur = await startFacteur({ db });
    const { body } = await facteur.send(message);
    const { uid } = facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName).object.metadata;
    facteur.cluster.faults.apply({ op: 'finish', namespace: NAMESPACE, name: body.workflowName, phase: 'Failed' });
    facteur.cluster.faults.apply({ op: 'resubmit', namespace: NAMESPACE, name: body.workflowName });
    facteur.cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: body.workflowName });
    expect((await facteur.send(message)).body).toEqual({ ...body, duplicate: true });
    expect(await runOf(db, 'd1')).toMatchObject({ workflow_name: body.workflowName, workflow_uid: uid });
  });
});

const LOST: readonly [string, FaultAction][] = [
  ['reset', { kind: 'commit-then-reset' }],
  ...[500, 503, 504].map((status): [string, FaultAction] => [
    `answered ${status}`,
    { kind: 'commit-then-answer', answer: { status } },
  ]),
  ['answered 429', { kind: 'commit-then-answer', answer: { status: 429, retryAfterSeconds: 1 } }],
  ['answered with a page', { kind: 'commit-then-answer', answer: { status: 502, body: '<html>bad gateway</html>' } }],
];

test.each(LOST)(
  'a workflow that was created while the answer was %s is found, not made again',
  async (_what, action) => {
    const facteur = await startFacteur({ db });
    facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action, times: 1 });
    const first = await facteur.send(event({ interactionId: 'd1' }));
    expect(first).toMatchObject({ status: 202, body: { status: 'queued' } });
    await timePasses(db);
    const replay = await facteur.send(event({ interactionId: 'd1' }));
    expect(replay).toMatchObject({
      status: 202,
      body: { ...first.body, status: 'submitted', duplicate: true },
    });
    const [name] = created(facteur.cluster);
    expect(created(facteur.cluster)).toEqual([first.body.workflowName]);
    const { uid } = facteur.cluster.store.get('workflows', NAMESPACE, name ?? '').object.metadata;
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'submitted', workflow_uid: uid });
  },
);

test('a workflow that was created and is gone before anybody knew of it is not made again', async () => {
  const facteur = await startFacteur({ db });
  const { requests } = facteur.cluster.faults;
  requests.add({ match: { verb: 'create' }, action: { kind: 'commit-then-reset' }, times: 1 });
  const { body } = await facteur.send(event({ interactionId: 'd1' }));
  // It is still there when the next create comes, and no longer when it is looked at.
  const conflict = { status: 409, reason: 'AlreadyExists', message: 'already exists' };
  requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer: conflict }, times: 1 });
  facteur.cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: body.workflowName });
  await timePasses(db);
  await expectRun(db, 'd1', 'submitted');
  expect(created(facteur.cluster)).toEqual([body.workflowName]);
});
