import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, vi } from 'vitest';
import { DatabaseError, type Database } from '../../src/clients/postgres/database.ts';
import { observeWorkflows, type Observation } from '../../src/ledger/observe-workflows.ts';
import { NAMESPACE } from '../support/cluster.ts';
import { openTestPostgres } from '../support/database.ts';
import { expectState, recordTestRun, setUpFollowing, statesOf, storedRun, type TestRun } from '../support/follow.ts';
import { database, db, test } from '../support/ledger-fixture.ts';
import { submitRun } from '../support/runs.ts';

// Concurrent connections and processes that die, which the embedded engine cannot show.

const LEASE_MS = 2000;

/** A process that follows. `said` has the messages of its log. */
function startProcess(holder: string, clusterUrl: string): { readonly child: ChildProcess; readonly said: string[] } {
  const script = fileURLToPath(new URL('../support/follow-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, holder, String(LEASE_MS), database.dsn, clusterUrl, NAMESPACE], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push((JSON.parse(line) as { message: string }).message);
  });
  return { child, said };
}

const expectSaid = (said: string[], message: string, times = 1): Promise<void> =>
  vi.waitFor(() => expect(said.filter((each) => each === message)).toHaveLength(times));

test('when the process that watches is killed, another continues from the ledger', async () => {
  const { cluster, submit, finish } = await setUpFollowing(db);
  const first = startProcess('first', cluster.url);
  await expectSaid(first.said, 'workflows listed');
  const second = startProcess('second', cluster.url);
  const runs = [await submit(), await submit()];
  await expectState(db, runs[0]!, 'running');

  first.child.kill('SIGKILL');
  finish(runs[0]!);
  await expectSaid(second.said, 'lease taken');
  await expectState(db, runs[0]!, 'succeeded');
  finish(runs[1]!, 'Failed');
  await expectState(db, runs[1]!, 'failed');
  expect(await statesOf(db, runs[0]!)).toEqual(['queued', 'submitted', 'running', 'succeeded']);
});

test('a process that stops gracefully hands over at once', async () => {
  const { cluster, submit } = await setUpFollowing(db);
  const first = startProcess('first', cluster.url);
  await expectSaid(first.said, 'lease taken');
  const second = startProcess('second', cluster.url);
  await vi.waitFor(async () => {
    const listening = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'`;
    expect((await db.query<{ n: number }>({ text: listening })).rows[0]?.n).toBe(2);
  });
  first.child.kill('SIGTERM');
  await expectSaid(first.said, 'lease ended');
  await expectSaid(second.said, 'lease taken');
  await vi.waitFor(() => expect(first.child.exitCode).toBe(0));
  await expectState(db, await submit(), 'running');
});

test('a process that was paused and resumes writes nothing stale', async () => {
  const { cluster, submit, finish } = await setUpFollowing(db);
  const first = startProcess('first', cluster.url);
  await expectSaid(first.said, 'workflows listed');
  const second = startProcess('second', cluster.url);
  const runs = await Promise.all(Array.from({ length: 20 }, () => submit()));
  for (const run of runs) {
    await expectState(db, run, 'running');
  }

  first.child.kill('SIGSTOP');
  // The events in the socket of the paused process are stale by the time it reads them.
  for (const run of runs) {
    finish(run, 'Failed');
  }
  await expectSaid(second.said, 'lease taken');
  for (const run of runs) {
    await expectState(db, run, 'failed');
    cluster.faults.apply({ op: 'retry', namespace: NAMESPACE, name: run.name });
    await expectState(db, run, 'running');
  }
  first.child.kill('SIGCONT');
  await expectSaid(first.said, 'lease ended');
  for (const run of runs) {
    finish(run);
    await expectState(db, run, 'succeeded');
    expect(await storedRun(db, run)).toMatchObject({ retry_count: 1 });
    expect(await statesOf(db, run)).toEqual(['queued', 'submitted', 'running', 'failed', 'running', 'succeeded']);
  }
});

test('concurrent writers of the same observations, in any order, record them once', async () => {
  const other = openTestPostgres(database.dsn);
  onTestFinished(() => other.close());
  const runs = await Promise.all(Array.from({ length: 40 }, () => recordTestRun(db)));
  const uid = (run: TestRun): string => `u-${run.name}`;
  const seen = (run: TestRun, version: bigint, state: Observation['state']): Observation => ({
    namespace: NAMESPACE,
    name: run.name,
    uid: uid(run),
    deliveryLabel: '',
    version,
    state,
    progress: `${version}/9`,
    reason: '',
    startedAt: undefined,
    finishedAt: undefined,
    resources: {},
    confirmed: true,
  });
  const life: readonly Observation['state'][] = ['running', 'failed', 'running', 'running', 'succeeded'];
  const shuffled = <T>(items: readonly T[]): T[] =>
    items
      .map((item) => ({ item, at: Math.random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ item }) => item);
  let conflicts = 0;
  const observeAll = async (on: Database, version: number): Promise<void> => {
    for (let done = false; !done;) {
      try {
        await observeWorkflows(
          on,
          shuffled(runs).map((run) => seen(run, BigInt(version + 1), life[version]!)),
        );
        done = true;
      } catch (error) {
        // Two batches locked rows in a different order: one of them has to retry.
        expect(error).toBeInstanceOf(DatabaseError);
        expect(error).toMatchObject({ retryable: true });
        conflicts += 1;
      }
    }
  };
  await Promise.all(runs.map((run) => submitRun(db, run.runId, uid(run))));
  for (let version = 0; version < life.length; version += 1) {
    await Promise.all(
      [db, other, db, other, db, other].map(async (on, index) => {
        await observeAll(on, index % 2 === 0 ? version : Math.max(0, version - 1));
        await observeAll(on, version);
      }),
    );
  }
  expect(conflicts).toBeLessThan(100);
  for (const run of runs) {
    expect(await statesOf(db, run)).toEqual(['queued', 'submitted', 'running', 'failed', 'running', 'succeeded']);
    expect(await storedRun(db, run)).toMatchObject({ state: 'succeeded', retry_count: 1, progress: '5/9' });
  }
});
