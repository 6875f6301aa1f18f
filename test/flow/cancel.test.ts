import { describe, expect } from 'vitest';
import { isFinished, RUN_STATES } from '../../src/domain/run-state.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { NAMESPACE } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { created, expectRun, requests, runOf, timePasses } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { forceState } from '../support/runs.ts';
import { db, test } from '../support/ledger-fixture.ts';

const DELIVERY = event({ interactionId: 'd1' });
const FOLLOWING = ['http', 'submit', 'follow'] as const;

/** `spec.shutdown` of a workflow in the cluster. */
function shutdown(cluster: SimulatedCluster, name: string): unknown {
  return cluster.store.get('workflows', NAMESPACE, name).object.spec['shutdown'];
}

/** As `argo suspend` does. */
async function suspend(cluster: SimulatedCluster, name: string): Promise<void> {
  const entry = cluster.store.get('workflows', NAMESPACE, name);
  cluster.store.update('workflows', entry, 'patch', (object) => ({
    ...object,
    spec: { ...object.spec, suspend: true },
  }));
}

describe('before the run has reached the cluster', () => {
  test('a queued run is canceled and never submitted', async () => {
    const facteur = await startFacteur({ db });
    const { requests: rules } = facteur.cluster.faults;
    const answer = { status: 429, reason: 'TooManyRequests', retryAfterSeconds: 60 };
    const rule = rules.add({ match: { verb: 'create' }, action: { kind: 'answer', answer } });
    await facteur.send(DELIVERY);
    const canceled = await facteur.cli('runs', 'cancel', 'd1', '--by', 'ada');
    expect(canceled).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^run [-0-9a-f]{36} is being canceled\n$/),
    });
    expect(await expectRun(db, 'd1', 'canceled')).toMatchObject({ reason: 'canceled by ada before it was submitted' });
    rules.remove(rule);
    await timePasses(db);
    const replay = await facteur.send(DELIVERY);
    expect(replay).toMatchObject({ status: 202, body: { duplicate: true } });
    expect(created(facteur.cluster)).toEqual([]);
    const { stdout } = await facteur.cli('runs', 'show', 'd1', '--json');
    const { events } = JSON.parse(stdout);
    expect(events.map(({ type, actor }: { type: string; actor: string }) => `${type} ${actor}`)).toEqual([
      'state.change facteur',
      'cancel.requested ada',
      'state.change ada',
    ]);
  });

  test('during the create: the create completes, and the workflow is stopped', async () => {
    const facteur = await startFacteur({ db, roles: FOLLOWING });
    const { requests: faults } = facteur.cluster.faults;
    const hold = faults.add({ match: { verb: 'create' }, action: { kind: 'hold' }, times: 1 });
    const sent = facteur.send(DELIVERY);
    await expect.poll(() => requests(facteur.cluster, 'create')).toBe(1);
    await facteur.cli('runs', 'cancel', 'd1');
    faults.remove(hold);
    const { body } = await sent;
    await expectRun(db, 'd1', 'canceled');
    expect(shutdown(facteur.cluster, body.workflowName)).toBe('Stop');
    expect(created(facteur.cluster)).toEqual([body.workflowName]);
  });

  test.each([
    ['an existing workflow is stopped', 'commit-then-reset', 1],
    ['a workflow that was not created never is', 'reset', 0],
  ] as const)('after a lost response to the create: %s', async (_what, kind, workflows) => {
    const facteur = await startFacteur({ db, roles: FOLLOWING });
    // The follower sees nothing: the submitter has to find out.
    const blind = (['list', 'watch'] as const).map((verb) =>
      facteur.cluster.faults.requests.add({ match: { verb }, action: { kind: 'answer', answer: { status: 500 } } }),
    );
    facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind } });
    const { body } = await facteur.send(DELIVERY);
    expect(body.status).toBe('queued');
    await facteur.cli('runs', 'cancel', 'd1');
    if (workflows === 1) {
      await expect.poll(() => shutdown(facteur.cluster, body.workflowName)).toBe('Stop');
      blind.forEach((rule) => facteur.cluster.faults.requests.remove(rule));
    }
    await expectRun(db, 'd1', 'canceled');
    expect(created(facteur.cluster)).toHaveLength(workflows);
  });

  test('a foreign workflow of the same name is not stopped', async () => {
    const facteur = await startFacteur({ db });
    facteur.cluster.faults.requests.add({ match: { verb: 'create' }, action: { kind: 'commit-then-reset' }, times: 1 });
    const { body } = await facteur.send(DELIVERY);
    const { workflowName: name } = body;
    const mine = facteur.cluster.store.get('workflows', NAMESPACE, name);
    facteur.cluster.store.update('workflows', mine, 'patch', (object) => ({
      ...object,
      metadata: {
        ...object.metadata,
        labels: { 'facteur.proompteng.ai/delivery': 'of-somebody-else' },
        annotations: {},
      },
    }));
    await facteur.cli('runs', 'cancel', 'd1');
    await expectRun(db, 'd1', 'canceled');
    expect(shutdown(facteur.cluster, name)).toBeUndefined();
  });
});

describe('in the cluster', () => {
  test('a live run is stopped, then canceled', async () => {
    const facteur = await startFacteur({ db, roles: FOLLOWING });
    const { body } = await facteur.send(DELIVERY);
    await expectRun(db, 'd1', 'running');
    await facteur.cli('runs', 'cancel', body.workflowName);
    await expectRun(db, 'd1', 'canceled');
    expect(shutdown(facteur.cluster, body.workflowName)).toBe('Stop');
    expect(await runOf(db, 'd1')).toMatchObject({ due_at: null, cancel_requested_by: 'an operator' });
  });

  test('a suspended run is stopped, too', async () => {
    const facteur = await startFacteur({ db, roles: FOLLOWING });
    const { body } = await facteur.send(DELIVERY);
    await expectRun(db, 'd1', 'running');
    await suspend(facteur.cluster, body.workflowName);
    await facteur.cli('runs', 'cancel', 'd1');
    expect(await expectRun(db, 'd1', 'canceled')).toMatchObject({ reason: "Stopped with strategy 'Stop'" });
    expect(requests(facteur.cluster, 'patch')).toBe(1);
  });

  test('a run without a known uid is stopped by its delivery', async () => {
    const facteur = await startFacteur({ db });
    const { body } = await facteur.send(DELIVERY);
    await db.query({ text: 'UPDATE facteur.runs SET workflow_uid = NULL' });
    await facteur.cli('runs', 'cancel', 'd1');
    await expect.poll(() => shutdown(facteur.cluster, body.workflowName)).toBe('Stop');
  });

  test('repeated cancels send one request to the cluster', async () => {
    const facteur = await startFacteur({ db });
    await facteur.send(DELIVERY);
    const asked = await Promise.all([facteur.cli('runs', 'cancel', 'd1'), facteur.cli('runs', 'cancel', 'd1')]);
    expect(asked.map(({ code }) => code)).toEqual([0, 0]);
    await expect.poll(() => requests(facteur.cluster, 'patch')).toBe(1);
    await expect.poll(async () => (await runOf(db, 'd1')).due_at).toBeNull();
    await facteur.cli('runs', 'cancel', 'd1');
    await timePasses(db);
    expect(requests(facteur.cluster, 'patch')).toBe(1);
  });

  test('while the cluster is down, the cancel is kept until it is back', async () => {
    const facteur = await startFacteur({ db, roles: FOLLOWING });
    const { body } = await facteur.send(DELIVERY);
    await expectRun(db, 'd1', 'running');
    await facteur.cluster.disconnect();
    expect((await facteur.cli('runs', 'cancel', 'd1')).code).toBe(0);
    await expect.poll(async () => (await runOf(db, 'd1')).attempts).toBeGreaterThan(1);
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'running', cancel_requested_by: 'an operator' });
    await facteur.cluster.reconnect();
    await expectRun(db, 'd1', 'canceled');
    expect(shutdown(facteur.cluster, body.workflowName)).toBe('Stop');
  });

  test('another workflow that has taken the name is not stopped', async () => {
    const facteur = await startFacteur({ db });
    const { body } = await facteur.send(DELIVERY);
    const ours = facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName);
    const { apiVersion, kind, metadata, spec } = ours.object;
    facteur.cluster.store.delete('workflows', ours);
    const { name, namespace } = metadata;
    facteur.cluster.store.create('workflows', { apiVersion, kind, metadata: { name, namespace }, spec });
    await facteur.cli('runs', 'cancel', 'd1');
    await expect.poll(async () => (await runOf(db, 'd1')).due_at).toBeNull();
    expect(requests(facteur.cluster, 'patch')).toBe(1);
    expect(shutdown(facteur.cluster, body.workflowName)).toBeUndefined();
  });
});

test.each(RUN_STATES.filter(isFinished))('canceling a run that is %s changes nothing', async (state) => {
  const facteur = await startFacteur({ db });
  const { body } = await facteur.send(DELIVERY);
  // The mark follows the answer. The workflow of a run that ended before its mark would be stopped.
  await expectRun(db, 'd1', 'submitted');
  await forceState(db, body.runId, state);
  const before = await runOf(db, 'd1');
  const { code, stdout } = await facteur.cli('runs', 'cancel', 'd1');
  expect({ code, stdout }).toEqual({ code: 0, stdout: `run ${body.runId} has already ended: ${state}\n` });
  expect(await runOf(db, 'd1')).toEqual(before);
  expect(requests(facteur.cluster, 'patch')).toBe(0);
});

test('canceling an unknown run fails', async () => {
  const facteur = await startFacteur({ db });
  expect(await facteur.cli('runs', 'cancel', 'nobody')).toMatchObject({
    code: 1,
    stderr: 'facteur: unknown run nobody\n',
  });
});
