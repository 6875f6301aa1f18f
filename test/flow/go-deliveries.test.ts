import { describe, expect } from 'vitest';
import { deliveryLabel } from '../../src/domain/workflow-name.ts';
import { NAMESPACE, seed, startCluster, type Json } from '../support/cluster.ts';
import { TurnableTimer } from '../support/turnable-timer.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { goWorkflow, recordAsGo } from '../support/go-database.ts';
import { created, expectRun, requests, runOf, timePasses } from '../support/ledger.ts';
import { asProtobuf, codexTask, event } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Invariant 2 across the switch: the Go service recorded a delivery and may or may not have created its workflow.

const NAME = 'github-codex-implementation-20260203-040506-x7k2p';
const TASK = codexTask({ deliveryId: 'd1' });
const DOWN = {
  kind: 'answer',
  answer: { status: 503, reason: 'ServiceUnavailable', message: 'etcd is away' },
} as const;

const workflowOf = ({ cluster }: Facteur, name: string): Json => cluster.store.get('workflows', NAMESPACE, name).object;

async function sharedRun(deliveryId: string): Promise<Json> {
  const text = 'SELECT id, status, external_run_id FROM codex_kb.task_runs WHERE delivery_id = $1';
  return (await db.query({ text, values: [deliveryId] })).rows[0];
}

describe('an existing workflow', () => {
  test('is adopted by the run: named in the answer, labelled, and followed to its end', async () => {
    const runId = await recordAsGo(db, 'd1', new Date('2026-02-03T04:05:06Z'));
    const cluster = await startCluster({ defaults: { pendingMs: 0, startMs: 0, stepMs: 0 } });
    seed(cluster, goWorkflow(NAME, 'd1'));
    const facteur = await startFacteur({ db, cluster, roles: ['http', 'submit', 'follow'] });
    const answer = await facteur.send(TASK);
    expect(answer).toMatchObject({
      status: 202,
      body: { runId, workflowName: NAME, duplicate: true, submittedAt: '2026-02-03T04:05:06Z' },
    });
    await expectRun(db, 'd1', 'succeeded');
    expect(await sharedRun('d1')).toEqual({ id: runId, status: 'succeeded', external_run_id: NAME });
    const { metadata } = workflowOf(facteur, NAME);
    expect(metadata.labels).toMatchObject({
      'app.kubernetes.io/managed-by': 'facteur',
      'facteur.proompteng.ai/delivery': deliveryLabel('d1'),
      'codex.issue_number': '7',
    });
    expect(metadata.annotations).toMatchObject({ 'facteur.proompteng.ai/run-id': runId });
    expect((await facteur.send(asProtobuf(TASK))).body).toEqual({ ...answer.body, status: 'submitted' });
    expect(created(cluster)).toEqual([NAME]);
  });

  test('is found by its delivery among others of the same issue, and the newest is used', async () => {
    await recordAsGo(db, 'd1');
    const cluster = await startCluster();
    const at = (time: string, workflow: Json): Json => {
      workflow.metadata.creationTimestamp = time;
      return workflow;
    };
    seed(cluster, at('2026-02-03T04:00:00Z', goWorkflow('codex-older', 'd1')));
    seed(cluster, at('2026-02-03T05:00:00Z', goWorkflow(NAME, ' d1 ')));
    seed(cluster, at('2026-02-03T06:00:00Z', goWorkflow('codex-other', 'd2')));
    seed(cluster, at('2026-02-03T06:00:00Z', goWorkflow('codex-other-issue', 'd1', '8')));
    const facteur = await startFacteur({ db, cluster });
    expect((await facteur.send(TASK)).body).toMatchObject({ workflowName: NAME, duplicate: true, status: 'submitted' });
  });

  test('is found without the issue label, which it lacks if there is no issue', async () => {
    await recordAsGo(db, 'd1');
    const cluster = await startCluster();
    seed(cluster, goWorkflow(NAME, 'd1', '0'));
    const facteur = await startFacteur({ db, cluster });
    const { body } = await facteur.send(codexTask({ deliveryId: 'd1', issueNumber: '0' }));
    expect(body).toMatchObject({ workflowName: NAME, duplicate: true });
  });

  test('is not created again if it is deleted while it is being labelled', async () => {
    await recordAsGo(db, 'd1');
    const cluster = await startCluster();
    seed(cluster, goWorkflow(NAME, 'd1'));
    const gone = { status: 404, reason: 'NotFound', body: notFound(NAME) };
    cluster.faults.requests.add({ match: { verb: 'patch' }, action: { kind: 'answer', answer: gone } });
    const facteur = await startFacteur({ db, cluster });
    expect((await facteur.send(TASK)).body).toMatchObject({ workflowName: NAME, duplicate: true, status: 'submitted' });
    expect(created(cluster)).toEqual([NAME]);
  });

  test('is not confused with another one that has taken its name when it is labelled', async () => {
    await recordAsGo(db, 'd1');
    const cluster = await startCluster();
    seed(cluster, goWorkflow(NAME, 'd1'));
    const hold = cluster.faults.requests.add({ match: { verb: 'patch' }, action: { kind: 'hold' } });
    const facteur = await startFacteur({ db, cluster });
    const sent = facteur.send(TASK);
    await expect.poll(() => requests(cluster, 'patch')).toBe(1);
    cluster.faults.apply({ op: 'delete', namespace: NAMESPACE, name: NAME });
    seed(cluster, goWorkflow(NAME, 'd2'));
    cluster.faults.requests.remove(hold);
    expect((await sent).body).toMatchObject({ status: 'queued' });
    expect(workflowOf(facteur, NAME).metadata.labels).not.toHaveProperty(['app.kubernetes.io/managed-by']);
  });

  test('is found again if labelling it failed', async () => {
    await recordAsGo(db, 'd1');
    const cluster = await startCluster();
    seed(cluster, goWorkflow(NAME, 'd1'));
    cluster.faults.requests.add({ match: { verb: 'patch' }, action: DOWN, times: 1 });
    const facteur = await startFacteur({ db, cluster });
    expect((await facteur.send(TASK)).body).toMatchObject({ status: 'queued' });
    await timePasses(db);
    await expectRun(db, 'd1', 'submitted');
    expect((await facteur.send(TASK)).body).toMatchObject({ workflowName: NAME, duplicate: true, status: 'submitted' });
    expect(workflowOf(facteur, NAME).metadata.labels).toHaveProperty(['app.kubernetes.io/managed-by']);
    expect(created(cluster)).toEqual([NAME]);
  });

  test('is stopped if its run is canceled before it is found', async () => {
    await recordAsGo(db, 'd1');
    const cluster = await startCluster();
    seed(cluster, goWorkflow(NAME, 'd1'));
    const rule = cluster.faults.requests.add({ match: { verb: 'list' }, action: DOWN });
    const facteur = await startFacteur({ db, cluster });
    const { body } = await facteur.send(TASK);
    expect(body).toMatchObject({ status: 'queued', duplicate: false });
    expect((await facteur.cli('runs', 'cancel', body.runId)).code).toBe(0);
    cluster.faults.requests.remove(rule);
    await timePasses(db);
    await expect.poll(() => workflowOf(facteur, NAME).spec.shutdown).toBe('Stop');
    expect(await expectRun(db, 'd1', 'submitted')).toMatchObject({ workflow_name: NAME });
  });
});

describe('a missing workflow', () => {
  test('is created once, for the run that the Go service recorded', async () => {
    const runId = await recordAsGo(db, 'd1');
    const timer = new TurnableTimer();
    const one = await startFacteur({ db, timer });
    const two = await startFacteur({ db, timer, cluster: one.cluster });
    const asked = Promise.all([one, two, one, two].map((facteur) => facteur.send(TASK)));
    await expectRun(db, 'd1', 'submitted');
    // The requests that did not submit it look again when the wait is over.
    const answers = await timer.until(asked);
    const [name] = created(one.cluster);
    expect(created(one.cluster)).toEqual([name]);
    expect(answers.filter(({ body }) => body.duplicate === false)).toHaveLength(1);
    for (const { status, body } of answers) {
      expect({ status, body }).toMatchObject({ status: 202, body: { runId, workflowName: name, status: 'submitted' } });
    }
    expect(await sharedRun('d1')).toEqual({ id: runId, status: 'submitted', external_run_id: name });
  });

  test('is waited for while the Go service may still be creating it', async () => {
    await recordAsGo(db, 'd1', new Date());
    const facteur = await startFacteur({ db });
    expect((await facteur.send(TASK)).body).toMatchObject({ status: 'queued' });
    expect(created(facteur.cluster)).toEqual([]);
    seed(facteur.cluster, goWorkflow(NAME, 'd1'));
    await timePasses(db);
    await expectRun(db, 'd1', 'submitted');
    expect((await facteur.send(TASK)).body).toMatchObject({ workflowName: NAME, duplicate: true, status: 'submitted' });
    expect(created(facteur.cluster)).toEqual([NAME]);
  });

  test('is created only once the cluster can be searched', async () => {
    await recordAsGo(db, 'd1');
    const facteur = await startFacteur({ db });
    const rule = facteur.cluster.faults.requests.add({ match: { verb: 'list' }, action: DOWN });
    const first = await facteur.send(TASK);
    expect(first).toMatchObject({ status: 202, body: { status: 'queued', workflowName: expect.stringMatching(/./) } });
    await timePasses(db);
    await expect.poll(() => requests(facteur.cluster, 'list')).toBeGreaterThan(1);
    expect(created(facteur.cluster)).toEqual([]);
    facteur.cluster.faults.requests.remove(rule);
    await timePasses(db);
    await expectRun(db, 'd1', 'submitted');
    expect((await facteur.send(TASK)).body).toEqual({ ...first.body, status: 'submitted', duplicate: true });
    expect(created(facteur.cluster)).toEqual([first.body.workflowName]);
  });

  test('is searched for regardless of the age of the delivery', async () => {
    await recordAsGo(db, 'd1', new Date('2026-01-01T00:00:00Z'));
    const facteur = await startFacteur({ db });
    facteur.cluster.faults.requests.add({ match: { verb: 'list' }, action: DOWN });
    await facteur.send(TASK);
    await db.query({ text: 'UPDATE facteur.runs SET attempts = 60' });
    const asked = requests(facteur.cluster, 'list');
    await timePasses(db);
    await expect.poll(() => requests(facteur.cluster, 'list')).toBeGreaterThan(asked);
    await expect.poll(async () => (await runOf(db, 'd1')).claimed_until).toBeNull();
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'queued' });
  });

  test('is not created if another process claimed the run during the search', async () => {
    await recordAsGo(db, 'd1');
    const facteur = await startFacteur({ db });
    const hold = facteur.cluster.faults.requests.add({ match: { verb: 'list' }, action: { kind: 'hold' } });
    const sent = facteur.send(TASK);
    await expect.poll(() => requests(facteur.cluster, 'list')).toBe(1);
    await db.query({ text: 'UPDATE facteur.runs SET claims = claims + 1' });
    facteur.cluster.faults.requests.remove(hold);
    expect((await sent).body).toMatchObject({ status: 'queued' });
    expect(created(facteur.cluster)).toEqual([]);
  });

  test('is searched for only if the Go service may have created one', async () => {
    const facteur = await startFacteur({ db });
    await facteur.send(codexTask({ deliveryId: 'fresh' }));
    expect(requests(facteur.cluster, 'list')).toBe(0);
  });

  test('does not concern a command with the id of the Codex task', async () => {
    const goId = await recordAsGo(db, 'd1');
    const facteur = await startFacteur({ db });
    const { body } = await facteur.send(event({ interactionId: 'd1' }));
    expect(body).toMatchObject({ duplicate: false, status: 'submitted' });
    expect(body.runId).not.toBe(goId);
    expect(created(facteur.cluster)).toEqual([body.workflowName]);
  });

  test('is not recorded while the dispatcher is disabled: it can still be searched for later', async () => {
    await recordAsGo(db, 'd1');
    const disabled = await startFacteur({ db, env: { FACTEUR_DISABLE_DISPATCHER: '1' } });
    expect(await disabled.send(TASK)).toMatchObject({ status: 202, body: { duplicate: true } });
    await disabled.app.close();
    const facteur = await startFacteur({ db });
    expect((await facteur.send(TASK)).body).toMatchObject({ status: 'submitted', duplicate: false });
  });
});

/** The API's answer for a missing object: the client distinguishes it from a missing path. */
function notFound(name: string): string {
  return JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    reason: 'NotFound',
    code: 404,
    message: `workflows.argoproj.io "${name}" not found`,
    details: { name, group: 'argoproj.io', kind: 'workflows' },
  });
}
