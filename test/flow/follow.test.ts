import { describe, expect, vi } from 'vitest';
import { type Database, DatabaseError, type Statement } from '../../src/clients/postgres/database.ts';
import type { FollowerDeps } from '../../src/follow/follower.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { saveReflection } from '../../src/ledger/run-reports.ts';
import { NAMESPACE } from '../support/cluster.ts';
import {
  createWorkflowOf,
  expectState,
  expectWatching,
  type Following,
  judged,
  recordTestRun,
  requests,
  setUpFollowing,
  startFollower,
  statesOf,
  storedRun,
  type TestRun,
} from '../support/follow.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { submitRun } from '../support/runs.ts';

describe('a live run', () => {
  test('is followed from its submission to its end', async () => {
    const { workflows, submit } = await setUpFollowing(db, { defaults: { pendingMs: 20, startMs: 30, stepMs: 60 } });
    const changed = vi.fn<NonNullable<FollowerDeps['onChanged']>>();
    startFollower({ db, workflows, onChanged: changed });
    const run = await submit('succeed/3');
    expect(await expectState(db, run, 'succeeded')).toMatchObject({ progress: '3/3', reason: '', retry_count: 0 });
    expect(await statesOf(db, run)).toEqual(['queued', 'submitted', 'running', 'succeeded']);
    const effects = changed.mock.calls.flatMap(([changes]) => changes);
    expect(effects.every(({ runId }) => runId === run.runId)).toBe(true);
    expect(effects.filter(({ effect }) => effect === 'moved')).toHaveLength(2);
  });

  test.each(['plain', 'gzip', 'zstd', 'brotli', 'offloaded'] as const)(
    'records why it failed, with %s nodes',
    async (nodes) => {
      const { workflows, submit } = await setUpFollowing(db, {
        defaults: { pendingMs: 0, startMs: 0, stepMs: 0, nodes },
      });
      startFollower({ db, workflows });
      const run = await submit('fail@2/3');
      const { reason, progress } = await expectState(db, run, 'failed');
      expect(reason).toMatch(
        nodes === 'offloaded' ? /^a step failed, and facteur cannot read/ : /^step-2: main: Error \(exit code 1\)$/,
      );
      expect(progress).toBe('1/3');
    },
  );

  test('is canceled if its workflow was stopped', async () => {
    const { workflows, submit } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    await workflows.patchWorkflow(NAMESPACE, run.name, { spec: { shutdown: 'Stop' } });
    expect(await expectState(db, run, 'canceled')).toMatchObject({ reason: `Stopped with strategy 'Stop'` });
  });

  test('is found by its workflow if the response to the create was lost', async () => {
    const { workflows } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await recordTestRun(db);
    const uid = await createWorkflowOf(run, workflows);
    expect(await expectState(db, run, 'running')).toMatchObject({ workflow_uid: uid });
    expect(await statesOf(db, run)).toEqual(['queued', 'submitted', 'running']);
  });

  test('is followed in a namespace that is no longer configured', async () => {
    const { workflows, submit, finish } = await setUpFollowing(db, {
      templates: [{ namespace: 'default', name: 'plan' }],
    });
    const run = await submit('', 'default');
    startFollower({ db, workflows, timings: { auditMs: 50 } });
    await expectState(db, run, 'running');
    finish(run);
    await expectState(db, run, 'succeeded');
  });
});

test('a run whose workflow is labelled as managed by another program is followed by the watch', async () => {
  const { cluster, workflows, submit, finish } = await setUpFollowing(db);
  startFollower({ db, workflows });
  const run = await submit();
  await expectState(db, run, 'running');
  const labels = { 'app.kubernetes.io/managed-by': 'Helm' };
  await workflows.patchWorkflow(NAMESPACE, run.name, { metadata: { labels } });
  finish(run);
  await expectState(db, run, 'succeeded');
  expect(requests(cluster, 'get')).toBe(0);
});

describe('a workflow that disappeared', () => {
  test('after facteur saw its end: the run has that end', async () => {
    const { workflows, submit, finish, remove } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    finish(run);
    remove(run);
    await expectState(db, run, 'succeeded');
  });

  test('before its end, while it was watched: lost', async () => {
    const { workflows, submit, remove } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    remove(run);
    const { reason } = await expectState(db, run, 'lost');
    expect(reason).toBe('the workflow disappeared before facteur saw how it ended');
  });

  test('while nobody watched: lost', async () => {
    const { workflows, submit, remove } = await setUpFollowing(db);
    const run = await submit();
    const present = await submit();
    remove(run);
    startFollower({ db, workflows });
    await expectState(db, run, 'lost');
    await expectState(db, present, 'running');
  });

  test('before its uid was read: lost, found by the list', async () => {
    const { workflows } = await setUpFollowing(db);
    const run = await recordTestRun(db);
    await submitRun(db, run.runId, '');
    startFollower({ db, workflows });
    await expectState(db, run, 'lost');
  });

  test('before its uid was read: lost, found by the audit', async () => {
    const { cluster, workflows } = await setUpFollowing(db);
    startFollower({ db, workflows, timings: { auditMs: 50 } });
    await expectWatching(cluster);
    const run = await recordTestRun(db);
    await submitRun(db, run.runId, '');
    await expectState(db, run, 'lost');
    expect(requests(cluster, 'list')).toBe(1);
  });

  test('only from the watch, because it lost its label: still followed, by the audit', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows, timings: { auditMs: 50 } });
    const run = await submit();
    await expectState(db, run, 'running');
    await workflows.patchWorkflow(NAMESPACE, run.name, {
      metadata: { labels: { 'facteur.proompteng.ai/delivery': null } },
    });
    // First because it disappeared from the watch, then with every audit.
    await vi.waitFor(() => expect(requests(cluster, 'get')).toBeGreaterThan(2));
    finish(run);
    await expectState(db, run, 'succeeded');
  });

  test('does not count as lost until the cluster confirms it', async () => {
    const { cluster, workflows, submit, remove } = await setUpFollowing(db);
    startFollower({ db, workflows, timings: { auditMs: 50 } });
    const run = await submit();
    await expectState(db, run, 'running');
    const action = { kind: 'answer', answer: { status: 503 } } as const;
    cluster.faults.apply({ op: 'add', rule: { match: { verb: 'get' }, action, times: 4 } });
    remove(run);
    await vi.waitFor(() => expect(requests(cluster, 'get')).toBeGreaterThan(2));
    expect(await storedRun(db, run)).toMatchObject({ state: 'running' });
    await expectState(db, run, 'lost');
  });

  test('is not replaced by another workflow of the same name', async () => {
    const { workflows, submit, finish, remove } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    remove(run);
    const other = await createWorkflowOf(run, workflows);
    expect(other).not.toBe(run.uid);
    expect(await expectState(db, run, 'lost')).toMatchObject({ workflow_uid: run.uid });
    const marker = await submit();
    finish(run);
    await expectState(db, marker, 'running');
    expect(await storedRun(db, run)).toMatchObject({ state: 'lost', workflow_uid: run.uid });
  });
});

test('a resubmission, which copies labels, is not mistaken for the run', async () => {
  const { cluster, workflows, submit, finish } = await setUpFollowing(db);
  startFollower({ db, workflows });
  const run = await submit();
  await expectState(db, run, 'running');
  finish(run, 'Failed');
  await expectState(db, run, 'failed');
  const copy = cluster.faults.apply({ op: 'resubmit', namespace: NAMESPACE, name: run.name })['name'] as string;
  cluster.faults.apply({ op: 'finish', namespace: NAMESPACE, name: copy, phase: 'Succeeded' });
  const marker = await submit();
  await expectState(db, marker, 'running');
  expect(await storedRun(db, run)).toMatchObject({ state: 'failed', retry_count: 0 });
});

describe('a finished workflow that Argo retries', () => {
  const retry = (cluster: SimulatedCluster, { name }: TestRun): void => {
    cluster.faults.apply({ op: 'retry', namespace: NAMESPACE, name });
  };

  test('makes the run live again, counted once, and is followed to its end', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    cluster.faults.apply({ op: 'disturb-watches', duplicate: true, reorder: false });
    finish(run, 'Failed');
    await expectState(db, run, 'failed');
    retry(cluster, run);
    expect(await expectState(db, run, 'running')).toMatchObject({ retry_count: 1, reason: '' });
    finish(run);
    expect(await expectState(db, run, 'succeeded')).toMatchObject({ retry_count: 1 });
    expect(await statesOf(db, run)).toEqual(['queued', 'submitted', 'running', 'failed', 'running', 'succeeded']);
  });

  test('is also seen if nobody watched', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    const first = startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    finish(run, 'Error');
    await expectState(db, run, 'error');
    await first.stop();
    retry(cluster, run);
    await vi.waitFor(() => finish(run));
    startFollower({ db, workflows });
    expect(await expectState(db, run, 'succeeded')).toMatchObject({ retry_count: 1 });
    expect((await statesOf(db, run)).slice(3)).toEqual(['error', 'running', 'succeeded']);
  });
});

describe('a reflection of a successful run that Argo restarts', () => {
  /** A run that has succeeded, and a reflection of it that facteur trusts. */
  async function taught(
    following: Following,
  ): Promise<{ run: TestRun; trusted(): Promise<boolean>; trust(): Promise<unknown> }> {
    const run = await following.submit();
    await expectState(db, run, 'running');
    following.finish(run);
    await expectState(db, run, 'succeeded');
    const reflection = { type: 'lesson', content: 'Mend it.', metadata: {}, embedding: null, embeddingVersion: null };
    await saveReflection(db, { runId: run.runId, onlyRun: run.runId, actor: 'run' }, reflection);
    const trust = () =>
      db.query({ text: `UPDATE facteur.reflection_standing SET state = 'trusted', decided_by = 'facteur'` });
    await trust();
    const trusted = async (): Promise<boolean> =>
      (await db.query({ text: `SELECT FROM facteur.reflection_standing WHERE state = 'trusted'` })).rowCount === 1;
    return { run, trusted, trust };
  }
  /** Does the same as `argo retry --restart-successful`. */
  const restart = ({ cluster: { store } }: Following, { name }: TestRun): void => {
    store.update('workflows', store.get('workflows', NAMESPACE, name), 'patch', (object) => {
      const { finishedAt: _finishedAt, ...status } = object.status ?? {};
      return { ...object, status: { ...status, phase: 'Running', startedAt: '2099-01-01T00:00:00Z' } };
    });
  };
  const isMove = ({ name, values }: Statement): boolean =>
    name === 'observe-workflows' && String(values?.[0]).includes('"confirmed":true');

  test('loses trust before the ledger shows the restart: a crash leaves nothing trusted', async () => {
    const following = await setUpFollowing(db);
    const moved = Promise.withResolvers<void>();
    const down = new DatabaseError('postgres.unavailable', 'down', { retryable: true });
    const broken = judged(db, (statement) => {
      if (isMove(statement)) {
        moved.resolve();
        return down;
      }
      return undefined;
    });
    const follower = startFollower({ db, workflows: following.workflows });
    const { run, trusted } = await taught(following);
    await follower.stop();
    restart(following, run);
    startFollower({ db: broken, workflows: following.workflows });
    await moved.promise;
    expect(await storedRun(db, run)).toMatchObject({ state: 'succeeded' });
    expect(await trusted()).toBe(false);
  });

  test('loses trust even if it was trusted again before the ledger showed the restart', async () => {
    const following = await setUpFollowing(db);
    const follower = startFollower({ db, workflows: following.workflows });
    const { run, trusted, trust } = await taught(following);
    await follower.stop();
    restart(following, run);
    const between: Database = {
      ...judged(db, () => undefined),
      query: async (statement) => {
        if (isMove(statement)) {
          await trust();
        }
        return db.query(statement);
      },
    };
    startFollower({ db: between, workflows: following.workflows });
    await expectState(db, run, 'running');
    await expect.poll(trusted).toBe(false);
  });
});

test('a follower that stops writes its pending observations', async () => {
  const { workflows, submit } = await setUpFollowing(db);
  const taken = Promise.withResolvers<void>();
  const watching: FollowerDeps['workflows'] = {
    listWorkflows: (...args) => workflows.listWorkflows(...args),
    getWorkflow: async (...args) => workflows.getWorkflow(...args),
    async *watchWorkflows(...args) {
      for await (const event of workflows.watchWorkflows(...args)) {
        yield event;
        // Asking for the next one means that this one was taken.
        if (event.type !== 'BOOKMARK' && event.object.status?.['phase'] === 'Running') {
          taken.resolve();
        }
      }
    },
  };
  const follower = startFollower({ db, workflows: watching, timings: { flushMs: 3_600_000 } });
  const run = await submit();
  await taken.promise;
  expect(await storedRun(db, run)).toMatchObject({ state: 'submitted' });
  await follower.stop();
  expect(await storedRun(db, run)).toMatchObject({ state: 'running' });
});
