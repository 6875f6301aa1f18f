import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { DatabaseError, type Database } from '../../src/clients/postgres/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import {
  emptyLedger,
  expectState,
  expectWatching,
  setUpFollowing,
  startFollower,
  statesOf,
} from '../support/follow.ts';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ db } = database);
});
afterAll(() => database.close());
beforeEach(() => emptyLedger(db));

describe('several processes', () => {
  test('one of them watches; when it stops the next one goes on at once', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    const first = startFollower({ db, workflows });
    const run = await submit();
    await expectState(db, run, 'running');
    const second = startFollower({ db, workflows });
    await expectWatching(cluster);
    expect([first.active, second.active]).toEqual([true, false]);
    await first.stop();
    await vi.waitFor(() => expect(second.active).toBe(true), { timeout: 1000 });
    finish(run);
    await expectState(db, run, 'succeeded');
  });

  test('one that was robbed of the lease gives up the watch, and what both wrote is right', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    const first = startFollower({ db, workflows, timings: { leaseMs: 900 } });
    await expectWatching(cluster);
    await db.query({ text: `UPDATE facteur.leases SET holder = 'thief', expires_at = now() + interval '2 seconds'` });
    const second = startFollower({ db, workflows, holder: 'thief', timings: { leaseMs: 3000 } });
    const run = await submit();
    await expectState(db, run, 'running');
    finish(run, 'Failed');
    await expectState(db, run, 'failed');
    await vi.waitFor(() => expect([first.active, second.active]).toEqual([false, true]));
    expect(await statesOf(db, run)).toEqual(['queued', 'submitted', 'running', 'failed']);
  });

  test('one that cannot renew the lease gives up the watch by its own clock', async () => {
    const { cluster, workflows } = await setUpFollowing(db);
    let down = false;
    const cut: Database = new Proxy(db, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target);
        if (key === 'query' && down) {
          return () => Promise.reject(new DatabaseError('postgres.unavailable', 'down', { retryable: true }));
        }
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const follower = startFollower({ db: cut, workflows, timings: { leaseMs: 600 } });
    await expectWatching(cluster);
    down = true;
    await vi.waitFor(() => expect([follower.active, cluster.state()['watchers']]).toEqual([false, 0]), {
      timeout: 3000,
    });
    down = false;
    await vi.waitFor(() => expect(follower.active).toBe(true), { timeout: 3000 });
  });

  test('stopping is possible at any time and any number of times', async () => {
    const { workflows } = await setUpFollowing(db);
    const unstarted = startFollower({ db, workflows });
    await Promise.all([unstarted.stop(), unstarted.stop()]);
    unstarted.start();
    await unstarted.stop();
    expect(unstarted.active).toBe(false);
    const { rowCount } = await db.query({ text: 'SELECT FROM facteur.leases' });
    expect(rowCount).toBe(0);
  });
});
