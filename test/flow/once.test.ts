import { describe, expect } from 'vitest';
import { deliveryLabel, workflowName } from '../../src/domain/workflow-name.ts';
import type { FaultAction } from '../../sandbox/cluster/faults.ts';
import { manifest, NAMESPACE, seed, startCluster } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns, created, expectRun, runOf, timePasses, wholeLedger } from '../support/ledger.ts';
import { asProtobuf, codexTask, event, type Answer, type Message } from '../support/messages.ts';
import { forceState } from '../support/runs.ts';
import { TurnableTimer } from '../support/turnable-timer.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Invariant 2: one delivery id, at most one workflow, ever.

const DOORS: readonly [string, Message][] = [
  ['/events', event({ interactionId: 'd1', options: { objective: 'Once' } })],
  ['/codex/tasks', codexTask({ deliveryId: 'd1' })],
];

/** The part that must be the same in every answer to one delivery. */
function sameness({ status, body: { duplicate: _duplicate, ...rest } }: Answer): unknown {
  return { status, ...rest };
}

/** Counts attempts to record. A server's conflicts may cause several per delivery. Once all have tried, time rejects none. */
function countRecordings() {
  let count = 0;
  const before = (statement: string): undefined => {
    count += statement === 'record-runs' ? 1 : 0;
  };
  return { faults: { before }, begun: () => count };
}

describe.each(DOORS)('%s', (_path, message) => {
  test('twenty at once, in JSON and protobuf: one workflow, one answer, all but one are duplicates', async () => {
    const { faults, begun } = countRecordings();
    const facteur = await startFacteur({ db, faults });
    const variants = [message, asProtobuf(message)];
    const asked = Promise.all(Array.from({ length: 20 }, (_, index) => facteur.send(variants[index % 2] ?? message)));
    await expect.poll(() => countRuns(db, 'submitted')).toBe(1);
    await expect.poll(begun).toBeGreaterThanOrEqual(20);
    // A duplicate that arrives just after the submit waits until its timeout, then looks.
    const answers = await facteur.timer.until(asked);
    expect(created(facteur.cluster)).toHaveLength(1);
    expect(new Set(answers.map((answer) => JSON.stringify(sameness(answer)))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 202, body: { status: 'submitted' } });
    expect(answers.filter(({ body }) => body.duplicate === false)).toHaveLength(1);
  });

  test('twenty at once on two replicas: one workflow, one answer, all but one are duplicates', async () => {
    const timer = new TurnableTimer();
    const { faults, begun } = countRecordings();
    const one = await startFacteur({ db, timer, faults });
    const two = await startFacteur({ db, timer, faults, cluster: one.cluster });
    const asked = Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : two).send(message)));
    await expect.poll(() => countRuns(db, 'submitted')).toBe(1);
    await expect.poll(begun).toBeGreaterThanOrEqual(20);
    // A request to the replica that does not submit it waits until its timeout, then looks.
    const answers = await timer.until(asked);
    expect(created(one.cluster)).toHaveLength(1);
    expect([...new Set(answers.map((answer) => JSON.stringify(sameness(answer))))]).toHaveLength(1);
    expect(answers[0]).toMatchObject({ status: 202, body: { status: 'submitted' } });
    expect(answers.filter(({ body }) => body.duplicate === false)).toHaveLength(1);
  });

  test('a replica that did not submit it looks again soon, not only after the whole wait', async () => {
    const one = await startFacteur({ db });
    const two = await startFacteur({ db, cluster: one.cluster });
    const held = Promise.withResolvers<undefined>();
    one.faults.before = (statement) => (statement === 'mark-submitted' ? held.promise : undefined);
    const { body } = await one.send(message);
    const looks: string[] = [];
    two.faults.after = (statement) => void (statement === 'find-submission' && looks.push(statement));
    const again = two.send(message);
    await expect.poll(() => looks).toHaveLength(1);
    held.resolve(undefined);
    await expectRun(db, 'd1', 'submitted');
    await two.timer.pass(250);
    expect((await again).body).toEqual({ ...body, duplicate: true });
  });

  test('a redelivery to another process after a restart changes no row and submits nothing', async () => {
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

  test('a redelivery after the workflow was garbage-collected creates no other one', async () => {
    const facteur = await startFacteur({ db });
    const { body } = await facteur.send(message);
    facteur.cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: body.workflowName });
    expect((await facteur.send(message)).body).toEqual({ ...body, duplicate: true });
    // The answer does not wait for the mark. A run without one would be looked up when its claim expires.
    await expectRun(db, 'd1', 'submitted');
    await timePasses(db);
    expect((await facteur.send(message)).body).toEqual({ ...body, duplicate: true });
    expect(created(facteur.cluster)).toEqual([body.workflowName]);
  });

  test('a redelivery of a finished run changes no row', async () => {
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

  test('a foreign workflow with the reserved name is left alone, and the run gets another name', async () => {
    const now = new Date('2026-02-03T04:05:06.789Z');
    const facteur = await startFacteur({ db, context: { clock: { now: () => now } } });
    const prefix = message.path === '/events' ? 'plan' : 'github-codex-implementation-';
    const [taken, next] = [workflowName(prefix, now, 'd1'), workflowName(prefix, now, 'd1', 1)];
    seed(facteur.cluster, manifest(taken, { 'facteur.proompteng.ai/delivery': 'of-somebody-else' }));
    const answer = await facteur.send(message);
    expect(answer).toMatchObject({ status: 202, body: { status: 'submitted', workflowName: next } });
    if (message.path === '/events') {
      expect(answer.body.correlationId).toBe(next);
    }
    expect(created(facteur.cluster)).toEqual([taken, next]);
    expect((await facteur.send(message)).body).toEqual({ ...answer.body, duplicate: true });
    const uid = facteur.cluster.store.get('workflows', NAMESPACE, next).object.metadata.uid;
    const run = await expectRun(db, 'd1', 'submitted');
    expect(run).toMatchObject({ workflow_name: next, workflow_uid: uid });
    const text = 'SELECT external_run_id, status FROM codex_kb.task_runs WHERE id = $1';
    const { rows } = await db.query({ text, values: [run.run_id] });
    expect(rows).toEqual([{ external_run_id: next, status: 'queued' }]);
  });

  test('a resubmitted copy with our labels is not mistaken for ours', async () => {
    const facteur = await startFacteur({ db });
    const { body } = await facteur.send(message);
    const { uid } = facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName).object.metadata;
    facteur.cluster.faults.apply({ op: 'finish', namespace: NAMESPACE, name: body.workflowName, phase: 'Failed' });
    facteur.cluster.faults.apply({ op: 'resubmit', namespace: NAMESPACE, name: body.workflowName });
    facteur.cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: body.workflowName });
    expect((await facteur.send(message)).body).toEqual({ ...body, duplicate: true });
    expect(await expectRun(db, 'd1', 'submitted')).toMatchObject({
      workflow_name: body.workflowName,
      workflow_uid: uid,
    });
  });
});

describe('an id that several senders use', () => {
  test('an event with the id of a Codex task does not block the task, and reveals nothing of it', async () => {
    const facteur = await startFacteur({ db });
    const event1 = await facteur.send(event({ interactionId: 'gh-1' }));
    const task = await facteur.send(codexTask({ deliveryId: 'gh-1' }));
    expect(task).toMatchObject({ status: 202, body: { duplicate: false, status: 'submitted' } });
    const event2 = await facteur.send(event({ interactionId: 'gh-1' }));
    expect(event2.body).toEqual({ ...event1.body, duplicate: true });
    expect((await facteur.send(codexTask({ deliveryId: 'gh-1' }))).body).toEqual({ ...task.body, duplicate: true });
    expect(created(facteur.cluster)).toEqual([event1.body.workflowName, task.body.workflowName]);
    expect(task.body).not.toHaveProperty('deliveryId', event1.body.deliveryId);
  });

  test('the second one is answered with the id that it gave', async () => {
    const facteur = await startFacteur({ db });
    await facteur.send(codexTask({ deliveryId: 'gh-1' }));
    const answer = await facteur.send(event({ interactionId: 'gh-1' }));
    expect(answer.body).toMatchObject({ deliveryId: 'gh-1', duplicate: false });
    expect(await expectRun(db, 'command:gh-1', 'submitted')).toMatchObject({ run_id: answer.body.runId });
    const { metadata } = facteur.cluster.store.get('workflows', NAMESPACE, answer.body.workflowName).object;
    expect(metadata.labels).toMatchObject({ 'facteur.proompteng.ai/delivery': deliveryLabel('command:gh-1') });
  });

  test('no delivery from outside can take the place of a retry', async () => {
    const facteur = await startFacteur({ db });
    const { body } = await facteur.send(event({ interactionId: 'd1' }));
    const claimed = `retry:${body.runId}`;
    const [stranger, task] = [
      await facteur.send(event({ interactionId: claimed })),
      await facteur.send(codexTask({ deliveryId: claimed })),
    ];
    await forceState(db, body.runId, 'failed');
    expect((await facteur.cli('runs', 'retry', body.runId)).code).toBe(0);
    const retry = await expectRun(db, claimed, 'submitted');
    expect(retry.retry_of).toBe(body.runId);
    expect(new Set([retry.run_id, stranger.body.runId, task.body.runId]).size).toBe(3);
  });

  test('white space around an id is ignored', async () => {
    const facteur = await startFacteur({ db });
    const { body } = await facteur.send(codexTask({ deliveryId: ' x\u0085' }));
    expect((await facteur.send(codexTask({ deliveryId: '\tx ' }))).body).toEqual({ ...body, duplicate: true });
    expect(await runOf(db, 'x')).toMatchObject({ run_id: body.runId });
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

test.each(LOST)('a workflow whose create was %s is found, not created again', async (_what, action) => {
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
  expect(await expectRun(db, 'd1', 'submitted')).toMatchObject({ workflow_uid: uid });
});

test('a workflow that was created and deleted before facteur knew of it is not created again', async () => {
  const facteur = await startFacteur({ db });
  const { requests } = facteur.cluster.faults;
  requests.add({ match: { verb: 'create' }, action: { kind: 'commit-then-reset' }, times: 1 });
  const { body } = await facteur.send(event({ interactionId: 'd1' }));
  // It still exists at the next create, but no longer when it is read.
  const conflict = { status: 409, reason: 'AlreadyExists', message: 'already exists' };
  requests.add({ match: { verb: 'create' }, action: { kind: 'answer', answer: conflict }, times: 1 });
  facteur.cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: body.workflowName });
  await timePasses(db);
  await expectRun(db, 'd1', 'submitted');
  expect(created(facteur.cluster)).toEqual([body.workflowName]);
});
