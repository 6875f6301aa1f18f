import { describe, expect } from 'vitest';
import { recordRun } from '../../src/ledger/record-run.ts';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { NAMESPACE, startCluster } from '../support/cluster.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { startFacteur } from '../support/facteur.ts';
import { firstSweepOnly } from '../support/faulty-database.ts';
import { countRuns, created, expectRun, requests, timePasses } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { newRun } from '../support/runs.ts';
import { db, test } from '../support/ledger-fixture.ts';

/** The most workflows that were live at any one time. */
function mostLive(cluster: SimulatedCluster): number {
  let [live, most] = [0, 0];
  for (const { kind, resource, phase } of cluster.history.entries) {
    if (resource === 'workflows') {
      live += kind === 'create' ? 1 : Number(kind === 'state' && phase === 'Succeeded') * -1;
      most = Math.max(most, live);
    }
  }
  return most;
}

/** Records runs as a door does when there is no capacity for them. Returns the names of their workflows, in order. */
async function recordMany(count: number): Promise<string[]> {
  const names: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const receipt = await recordRun(db, {
      run: newRun({ acceptedAt: new Date(2026, 0, 1, 0, 0, index) }),
      claim: false,
    });
    names.push(receipt.workflowName);
  }
  return names;
}

const MAX = { FACTEUR_ARGO_MAX_ACTIVE: '3' };

describe('argo.max_active', () => {
  test('two submitters together never exceed the limit, and submit in order of arrival', async () => {
    const cluster = await startCluster({ defaults: { pendingMs: 5, startMs: 5, stepMs: 30, steps: 2 } });
    const names = await recordMany(12);
    await startFacteur({ db, cluster, env: MAX, roles: ['http', 'submit', 'follow'] });
    await startFacteur({ db, cluster, env: MAX, roles: ['http', 'submit', 'follow'] });
    await expect.poll(() => countRuns(db, 'succeeded')).toBe(12);
    expect(mostLive(cluster)).toBe(3);
    // Runs that are claimed together are created concurrently, so neighbours may swap places.
    for (const [place, name] of created(cluster).entries()) {
      expect(Math.abs(names.indexOf(name) - place)).toBeLessThan(3);
    }
  });

  test('a submitter uses the capacity that another process sees become free', async () => {
    const cluster = await startCluster();
    await recordMany(6);
    await startFacteur({ db, cluster, env: MAX, roles: ['follow'] });
    await startFacteur({ db, cluster, env: MAX, roles: ['submit'], faults: { before: firstSweepOnly() } });
    await expect.poll(() => created(cluster).length).toBe(3);
    const name = created(cluster)[0]!;
    cluster.faults.apply({ op: 'finish', namespace: NAMESPACE, name, phase: 'Succeeded' });
    await expect.poll(() => created(cluster).length).toBe(4);
  });

  test('the capacity of a refused run is reused at once', async () => {
    const cluster = await startCluster();
    const refuse = { kind: 'answer', answer: { status: 422, reason: 'Invalid' } } as const;
    cluster.faults.requests.add({ match: { verb: 'create' }, action: refuse, times: 9 });
    await recordMany(12);
    await startFacteur({ db, cluster, env: MAX, roles: ['submit'], faults: { before: firstSweepOnly() } });
    await expect.poll(() => countRuns(db, 'refused')).toBe(9);
    await expect.poll(() => created(cluster).length).toBe(3);
  });

  test('a run over the limit is accepted and queued, and submitted once there is capacity', async () => {
    const facteur = await startFacteur({ db, env: MAX, roles: ['http', 'submit', 'follow'] });
    const asked = Promise.all(
      Array.from({ length: 5 }, (_, index) => facteur.send(event({ interactionId: `d${index}` }))),
    );
    await expect.poll(() => created(facteur.cluster).length).toBe(3);
    await expect.poll(() => countRuns(db)).toBe(5);
    const answers = await facteur.timer.until(asked);
    const waiting = answers.filter(({ body }) => body.status === 'queued');
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 202, 202]);
    expect(waiting).toHaveLength(2);
    const [live] = answers.filter(({ body }) => body.status === 'submitted');
    const { namespace, workflowName } = live?.body ?? {};
    facteur.cluster.faults.apply({ op: 'finish', namespace, name: workflowName, phase: 'Succeeded' });
    await expect.poll(() => created(facteur.cluster).length).toBe(4);
    await expect.poll(() => countRuns(db, 'queued')).toBe(1);
  });

  test('a create with a lost response still counts', async () => {
    const facteur = await startFacteur({ db, env: MAX, roles: ['submit'] });
    const lose = {
      match: { verb: 'create' },
      action: { kind: 'commit-then-answer', answer: { status: 500 } },
    } as const;
    facteur.cluster.faults.requests.add({ ...lose, times: 3 });
    // From now on, this cluster answers every read with an error.
    facteur.cluster.faults.requests.add({
      match: { verb: 'get' },
      action: { kind: 'answer', answer: { status: 500 } },
    });
    await recordMany(6);
    await db.query({ text: `SELECT pg_notify('facteur_submit', '')` });
    await expect.poll(() => created(facteur.cluster)).toHaveLength(3);
    const asked = requests(facteur.cluster, 'get');
    await expect.poll(() => requests(facteur.cluster, 'get')).toBeGreaterThan(asked + 2);
    expect(created(facteur.cluster)).toHaveLength(3);
  });

  test('the message of a queued run shows its place in the queue and the reason', async () => {
    const roles = ['http', 'submit', 'notify'] as const;
    const { discord } = await openDiscordDoor({ db, env: { FACTEUR_ARGO_MAX_ACTIVE: '1' }, roles });
    const texts = () => discord.messages().map(({ versions }) => versions.at(-1)?.content ?? '');
    const plan = () => discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
    await plan();
    await expect.poll(() => countRuns(db, 'submitted')).toBe(1);
    await plan();
    await plan();
    const reason = 'Only 1 workflow may run at a time.';
    await expect
      .poll(texts, { timeout: 20_000 })
      .toEqual([
        expect.stringContaining('**Submitted**'),
        expect.stringContaining(`\nNext in the queue. ${reason}\n`),
        expect.stringContaining(`\n2nd in the queue. ${reason}\n`),
      ]);
  });

  test('a queued run can be canceled while the limit is reached', async () => {
    const facteur = await startFacteur({ db, env: { FACTEUR_ARGO_MAX_ACTIVE: '1' } });
    await facteur.send(event({ interactionId: 'live' }));
    await facteur.timer.until(facteur.send(event({ interactionId: 'waiting' })));
    await facteur.cli('runs', 'cancel', 'waiting');
    await expectRun(db, 'waiting', 'canceled');
    expect(created(facteur.cluster)).toHaveLength(1);
  });
});

test('submission slows down after a 429, and every run is submitted', async () => {
  const perSecond = 40;
  const count = 200;
  const cluster = await startCluster();
  cluster.faults.apply({ op: 'rate', rate: { perSecond, over: 'reject' } });
  const names = await recordMany(count);
  await startFacteur({ db, cluster, roles: ['submit'] });
  await expect.poll(() => countRuns(db, 'submitted'), { timeout: 150_000, interval: 100 }).toBe(count);
  expect(created(cluster).toSorted()).toEqual(names.toSorted());
  // Retrying all remaining runs each second, without backoff, would be 40 + 80 + … + 200 requests.
  expect(requests(cluster, 'create')).toBeLessThan(count * 2);
});

test('another process takes over waiting runs when their process is gone', async () => {
  const cluster = await startCluster();
  const names = await recordMany(3);
  await db.query({
    text: `UPDATE facteur.open_runs SET claimed_until = now() + interval '1 hour', due_at = now() + interval '1 hour'`,
  });
  const facteur = await startFacteur({ db, cluster, roles: ['submit'] });
  expect(created(facteur.cluster)).toEqual([]);
  await timePasses(db);
  await expect.poll(() => created(cluster).toSorted()).toEqual(names.toSorted());
});
