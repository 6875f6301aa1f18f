import { randomUUID } from 'node:crypto';
import { describe, expect, vi } from 'vitest';
import { DatabaseError, type Database } from '../../src/clients/postgres/database.ts';
import type { Command } from '../../sandbox/cluster/control.ts';
import { manifest, NAMESPACE, TEMPLATE } from '../support/cluster.ts';
import {
  expectState,
  expectWatching,
  judged,
  requests,
  setUpFollowing,
  startFollower,
  statesOf,
  storedRun,
  type TestRun,
} from '../support/follow.ts';
import { db, test } from '../support/ledger-fixture.ts';

describe('an interrupted watch resumes where it stopped', () => {
  test.each<[string, Command]>([
    ['is ended', { op: 'drop-watches', how: 'end' }],
    ['is reset', { op: 'drop-watches', how: 'reset' }],
    ['is cut in the middle of a line', { op: 'truncate-watches' }],
  ])('when it %s', async (_, fault) => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const runs = [await submit(), await submit()];
    await expectState(db, runs[0]!, 'running');
    await expectState(db, runs[1]!, 'running');
    await expectWatching(cluster);
    cluster.faults.apply(fault);
    finish(runs[0]!);
    finish(runs[1]!, 'Failed');
    await expectState(db, runs[0]!, 'succeeded');
    await expectState(db, runs[1]!, 'failed');
    expect(requests(cluster, 'list')).toBe(1);
    expect(requests(cluster, 'watch')).toBeGreaterThan(1);
  });

  test('when the API server restarts and nothing has happened in the meantime', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    await cluster.disconnect();
    await cluster.reconnect();
    finish(run);
    await expectState(db, run, 'succeeded');
    expect(requests(cluster, 'list')).toBe(1);
  });

  test('when it becomes silent', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows, timings: { watchMs: 1000, graceMs: 200 } });
    const run = await submit();
    await expectState(db, run, 'running');
    cluster.faults.apply({ op: 'add', rule: { match: { verb: 'watch' }, action: { kind: 'hang' }, times: 1 } });
    cluster.faults.apply({ op: 'drop-watches', how: 'end' });
    finish(run);
    await expectState(db, run, 'succeeded');
    expect(requests(cluster, 'list')).toBe(1);
  });

  test('when the server answers with an error for some time', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    const action = { kind: 'answer', answer: { status: 503 } } as const;
    cluster.faults.apply({ op: 'add', rule: { match: { verb: 'watch' }, action, times: 3 } });
    cluster.faults.apply({ op: 'drop-watches', how: 'end' });
    finish(run);
    await expectState(db, run, 'succeeded');
    expect(requests(cluster, 'list')).toBe(1);
  });
});

test('a watch that times out without an event is resumed without a new list', async () => {
  const { cluster, workflows, submit, finish } = await setUpFollowing(db);
  startFollower({ db, workflows, timings: { watchMs: 1000 } });
  await expect.poll(() => requests(cluster, 'watch'), { timeout: 20_000 }).toBeGreaterThan(3);
  const run = await submit();
  finish(run);
  await expectState(db, run, 'succeeded');
  expect(requests(cluster, 'list')).toBe(1);
});

describe('a watch that cannot continue', () => {
  test.each(['http', 'event'] as const)('lists again when its version is gone (410 as %s)', async (form) => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    cluster.faults.apply({ op: 'expire-watches', form, times: 2 });
    cluster.faults.apply({ op: 'drop-watches', how: 'end' });
    finish(run);
    await expectState(db, run, 'succeeded');
    await vi.waitFor(() => expect(requests(cluster, 'list')).toBe(3));
  });

  test('lists again when its version is in the future: the cluster was restored from a backup', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows, timings: { watchMs: 1000 } });
    const kept = await submit();
    await expectState(db, kept, 'running');
    const backup = cluster.store.version;
    const gone = await submit();
    await expectState(db, gone, 'running');
    cluster.faults.apply({ op: 'restore', version: backup });
    finish(kept);
    await expectState(db, kept, 'succeeded');
    await expectState(db, gone, 'lost');
  });

  test('lists again after a restore even if its list took as long as a watch', async () => {
    const { cluster, workflows, submit } = await setUpFollowing(db);
    const backup = cluster.store.version;
    const gone = await submit();
    const action = { kind: 'delay', ms: 1200 } as const;
    cluster.faults.apply({ op: 'add', rule: { match: { verb: 'list' }, action, times: 1 } });
    startFollower({ db, workflows, timings: { watchMs: 1000 } });
    await expectState(db, gone, 'running');
    await expectWatching(cluster);
    cluster.faults.apply({ op: 'drop-watches', how: 'end' });
    cluster.faults.apply({ op: 'restore', version: backup });
    await expectState(db, gone, 'lost');
  });

  // In the second case, other workflows use up the lost versions before the follower looks again.
  test.each([false, true])(
    'sees the end of a run whose version went back after a restore (later: %s)',
    async (later) => {
      const { cluster, workflows, submit, finish } = await setUpFollowing(db);
      const follower = startFollower({ db, workflows, timings: { watchMs: 1000 } });
      const run = await submit();
      await expectState(db, run, 'running');
      const backup = cluster.store.version;
      for (const progress of ['1/9', '2/9', '3/9']) {
        cluster.store.update('workflows', cluster.store.get('workflows', NAMESPACE, run.name), 'patch', (object) => ({
          ...object,
          status: { ...(object['status'] as object), progress },
        }));
        await expect.poll(async () => (await storedRun(db, run)).progress).toBe(progress);
      }
      if (later) {
        await follower.stop();
      }
      const lost = cluster.store.version;
      cluster.faults.apply({ op: 'restore', version: backup });
      finish(run);
      if (later) {
        while (cluster.store.version <= lost) {
          await workflows.createWorkflow(NAMESPACE, manifest(`other-${cluster.store.version}`));
        }
        startFollower({ db, workflows });
      }
      await expectState(db, run, 'succeeded');
    },
  );

  test('lists again when the cluster no longer has the versions after it', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    await cluster.disconnect();
    finish(run);
    await cluster.reconnect();
    await expectState(db, run, 'succeeded');
    expect(requests(cluster, 'list')).toBe(2);
  });

  test('lists again when the next event is unreadable twice in a row', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    const action = { kind: 'answer', answer: { status: 200, body: 'not JSON\n' } } as const;
    cluster.faults.apply({ op: 'add', rule: { match: { verb: 'watch' }, action, times: 2 } });
    cluster.faults.apply({ op: 'drop-watches', how: 'end' });
    finish(run);
    await expectState(db, run, 'succeeded');
    expect(requests(cluster, 'list')).toBe(2);
  });

  test('keeps trying while it may not list', async () => {
    const { cluster, workflows, submit } = await setUpFollowing(db);
    cluster.faults.apply({ op: 'deny', requests: [{ verb: 'list' }] });
    startFollower({ db, workflows });
    const run = await submit();
    await vi.waitFor(() => expect(requests(cluster, 'list')).toBeGreaterThan(2));
    cluster.faults.apply({ op: 'deny', requests: [] });
    await expectState(db, run, 'running');
  });
});

test('duplicate and reordered events do not change the outcome', async () => {
  const { cluster, workflows, submit } = await setUpFollowing(db, {
    defaults: { pendingMs: 5, startMs: 5, stepMs: 10 },
  });
  startFollower({ db, workflows });
  await expectWatching(cluster);
  cluster.faults.apply({ op: 'disturb-watches', duplicate: true, reorder: true });
  const runs = await Promise.all(Array.from({ length: 20 }, (_, index) => submit(index % 2 === 0 ? '' : 'fail@2')));
  for (const [index, run] of runs.entries()) {
    expect(await expectState(db, run, index % 2 === 0 ? 'succeeded' : 'failed')).toMatchObject({ retry_count: 0 });
    await statesOf(db, run);
  }
});

describe('a database failure', () => {
  const failing = (judge: (batch: string) => DatabaseError | undefined): Database =>
    judged(db, ({ name, values }) => (name === 'observe-workflows' ? judge(String(values?.[0])) : undefined));

  test('for a while delays observations but loses none', async () => {
    const { workflows, submit } = await setUpFollowing(db);
    let failures = 3;
    const flaky = failing(() => {
      failures -= 1;
      return failures >= 0 ? new DatabaseError('postgres.unavailable', 'down', { retryable: true }) : undefined;
    });
    startFollower({ db: flaky, workflows });
    const runs = await Promise.all([submit(), submit(), submit()]);
    for (const run of runs) {
      await expectState(db, run, 'running');
    }
  });

  test('for one workflow does not affect the others', async () => {
    const { workflows, submit } = await setUpFollowing(db);
    const poisoned = await submit();
    const runs = await Promise.all([submit(), submit(), submit()]);
    const picky = failing((batch) =>
      batch.includes(poisoned.name) ? new DatabaseError('postgres.invalid', 'no', { retryable: false }) : undefined,
    );
    startFollower({ db: picky, workflows });
    for (const run of runs) {
      await expectState(db, run, 'running');
    }
    expect(await storedRun(db, poisoned)).toMatchObject({ state: 'submitted' });
  });

  test('for the approval of one workflow does not affect the approvals of the others', async () => {
    const templates = [
      { name: 'main', steps: [[{ name: 'gate', template: 'gate' }]] },
      { name: 'gate', suspend: {} },
    ];
    const { workflows, submit } = await setUpFollowing(db, {
      templates: [{ ...TEMPLATE, spec: { entrypoint: 'main', templates } }],
      defaults: { outcome: 'succeed', pendingMs: 0, startMs: 0, stepMs: 0 },
    });
    const poisoned = await submit();
    const runs = await Promise.all([submit(), submit(), submit()]);
    const picky = judged(db, ({ name, values }) =>
      name === 'record-waiting' && String(values?.[0]).includes(poisoned.name)
        ? new DatabaseError('postgres.invalid', 'no', { retryable: false })
        : undefined,
    );
    startFollower({ db: picky, workflows });
    const waiting = async (): Promise<readonly string[]> => {
      const text = 'SELECT workflow_name AS name FROM facteur.approvals JOIN facteur.runs USING (run_id)';
      return (await db.query<{ name: string }>({ text })).rows.map(({ name }) => name).toSorted();
    };
    await expect.poll(waiting).toEqual(runs.map(({ name }) => name).toSorted());
  });
});

test('after any sequence of faults, the ledger ends in the state of the cluster', async () => {
  const { cluster, workflows, submit } = await setUpFollowing(db, {
    defaults: { pendingMs: 30, startMs: 50, stepMs: 120 },
    seed: 7,
  });
  let follower = startFollower({ db, workflows, timings: { watchMs: 1000, graceMs: 200, auditMs: 300 } });
  const faults: Command[] = [
    { op: 'drop-watches', how: 'reset' },
    { op: 'truncate-watches' },
    { op: 'disturb-watches', duplicate: true, reorder: true },
    { op: 'expire-watches', form: 'http', times: 1 },
    { op: 'drop-watches', how: 'end' },
    { op: 'silence-watches', ms: 700 },
    { op: 'compact' },
    { op: 'expire-watches', form: 'event', times: 1 },
    { op: 'drop-watches', how: 'reset' },
  ];
  const runs: TestRun[] = [];
  for (const [round, fault] of faults.entries()) {
    const simulate = (index: number): string => ['succeed', 'fail@2', 'error@1', 'succeed/5'][index % 4]!;
    runs.push(...(await Promise.all(Array.from({ length: 12 }, (_, index) => submit(simulate(index))))));
    cluster.faults.apply(fault);
    if (round % 3 === 2) {
      await follower.stop();
      follower = startFollower({ db, workflows, holder: randomUUID(), timings: { watchMs: 1000, auditMs: 300 } });
    }
  }
  const expected = { Succeeded: 'succeeded', Failed: 'failed', Error: 'error' } as const;
  for (const run of runs) {
    await vi.waitFor(async () => {
      const phase = (await workflows.getWorkflow(NAMESPACE, run.name)).status?.phase;
      expect(expected).toHaveProperty(String(phase));
      expect((await storedRun(db, run)).state).toBe(expected[phase as keyof typeof expected]);
    });
    expect((await statesOf(db, run)).filter((state) => state === 'submitted')).toHaveLength(1);
  }
});
