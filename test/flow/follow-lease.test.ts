import { describe, expect, vi } from 'vitest';
import { DatabaseError } from '../../src/clients/postgres/database.ts';
import { NAMESPACE, startCluster } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { expectState, expectWatching, judged, setUpFollowing, startFollower, statesOf } from '../support/follow.ts';
import { faultyDatabase } from '../support/faulty-database.ts';
import { db, test } from '../support/ledger-fixture.ts';

/** Too long to expire during a test. */
const LONG = { leaseMs: 3_600_000 };

describe('several processes', () => {
  test('only one watches; when it stops, the next one continues immediately', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    const first = startFollower({ db, workflows, timings: LONG });
    const run = await submit();
    await expectState(db, run, 'running');
    let claims = 0;
    const counted = judged(db, ({ name }) => {
      claims += name === 'claim-lease' ? 1 : 0;
      return undefined;
    });
    const second = startFollower({ db: counted, workflows, timings: LONG });
    await vi.waitFor(() => expect(claims).toBe(1));
    await expectWatching(cluster);
    expect([first.active, second.active]).toEqual([true, false]);
    await first.stop();
    await vi.waitFor(() => expect(second.active).toBe(true));
    finish(run);
    await expectState(db, run, 'succeeded');
  });

  test('one that has lost its lease to another stops its watch, and the recorded states are correct', async () => {
    const { cluster, workflows, submit, finish } = await setUpFollowing(db);
    const timings = { leaseMs: 6000 };
    const first = startFollower({ db, workflows, timings });
    await expectWatching(cluster);
    await db.query({ text: `UPDATE facteur.leases SET holder = 'thief', expires_at = now() + interval '6 seconds'` });
    const second = startFollower({ db, workflows, holder: 'thief', timings });
    const run = await submit();
    await expectState(db, run, 'running');
    finish(run, 'Failed');
    await expectState(db, run, 'failed');
    // It notices at its next renewal, long before its lease would expire.
    await vi.waitFor(() => expect([first.active, second.active]).toEqual([false, true]));
    expect(await statesOf(db, run)).toEqual(['queued', 'submitted', 'running', 'failed']);
  });

  test('one that cannot renew its lease stops its watch by its own clock', async () => {
    const { cluster, workflows } = await setUpFollowing(db);
    let down = false;
    const cut = judged(db, () =>
      down ? new DatabaseError('postgres.unavailable', 'down', { retryable: true }) : undefined,
    );
    const follower = startFollower({ db: cut, workflows, timings: { leaseMs: 600 } });
    await expectWatching(cluster);
    down = true;
    await vi.waitFor(() => expect([follower.active, cluster.state()['watchers']]).toEqual([false, 0]));
    down = false;
    await vi.waitFor(() => expect(follower.active).toBe(true));
  });

  test('observations from before a lease expired are written when the database is back', async () => {
    const { workflows, submit, finish, remove } = await setUpFollowing(db);
    let down = false;
    const held: string[] = [];
    const cut = judged(db, ({ name, values }) => {
      if (down && name === 'observe-workflows') {
        held.push(String(values?.[0]));
      }
      return down ? new DatabaseError('postgres.unavailable', 'down', { retryable: true }) : undefined;
    });
    const follower = startFollower({ db: cut, workflows, timings: { leaseMs: 600 } });
    const run = await submit();
    await expectState(db, run, 'running');
    down = true;
    finish(run);
    await vi.waitFor(() => expect(held.join('')).toContain('succeeded'));
    remove(run);
    await vi.waitFor(() => expect(follower.active).toBe(false));
    down = false;
    await vi.waitFor(() => expect(follower.active).toBe(true));
    await expectState(db, run, 'succeeded');
  });

  test('one that stops keeps its lease until its observations are written', async () => {
    const { workflows, submit } = await setUpFollowing(db);
    const watched = faultyDatabase(db);
    const [begun, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const ended: string[] = [];
    watched.faults.before = async (name) => {
      if (name === 'observe-workflows') {
        begun.resolve();
        await held.promise;
      }
    };
    watched.faults.after = (name) => void ended.push(name);
    const follower = startFollower({ db: watched, workflows, timings: LONG });
    await submit();
    await begun.promise;
    const stopped = follower.stop();
    for (let query = 0; query < 5; query += 1) {
      await db.query({ text: 'SELECT 1' });
    }
    expect(ended).not.toContain('release-lease');
    held.resolve();
    await stopped;
    expect(ended.slice(-2)).toEqual(['observe-workflows', 'release-lease']);
  });

  test('stopping works at any time and any number of times', async () => {
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

test('every namespace in the configuration is followed from the start', async () => {
  const cluster = await startCluster({ namespaces: [NAMESPACE, 'codex', 'autonomous', 'deploys', 'templates'] });
  const facteur = await startFacteur({
    db,
    cluster,
    roles: ['follow'],
    yaml: `
commands: { deploy: { description: Deploy, namespace: deploys, options: [{ name: version, description: What }] } }
commands_from_templates: { namespaces: [templates] }
codex_implementation_orchestrator: { namespace: codex, autonomous_namespace: autonomous }
`,
  });
  const listed = () =>
    facteur.log.flatMap((line) => (line.includes('"workflows listed"') ? [JSON.parse(line).namespace] : [])).toSorted();
  await expect.poll(listed).toEqual(['argo-workflows', 'autonomous', 'codex', 'deploys', 'templates']);
});
