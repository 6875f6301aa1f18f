import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { accessByKubeconfig } from '../../scripts/cluster/api.ts';
import { freePort } from '../../scripts/services/daemon.ts';
import type { Json } from '../support/cluster.ts';
import { fillDirectory } from '../support/database.ts';
import type { Facteur } from '../support/facteur.ts';
import { FacteurProcess, temporaryFolder } from '../support/facteur-process.ts';
import { countRuns, expectRun, runOf } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { expectPhase, freshId, useBench, workflowPath } from './bench.ts';
import { OwnCluster } from './own-cluster.ts';
import { logIn, SHIPPED_ENV } from './world.ts';

// Invariants 2 and 3 while the API server crashes, is down, restarts, and restarts from older data.

const own = new OwnCluster();
const bench = useBench(() => own.start());
afterAll(() => own.stop(), 120_000);

const MINUTES = 60_000;

/** The deliveries of all workflows in the cluster, whoever created them. */
async function deliveriesOf(ids: readonly string[]): Promise<string[]> {
  const { items } = await bench.world.api.call(workflowPath(''));
  return items
    .map(({ metadata }: Json) => metadata.annotations?.['facteur.proompteng.ai/delivery-id'])
    .filter((id: string) => ids.includes(id));
}

test(
  'the API server is killed and restarts while 200 runs arrive: none is refused, lost or duplicated',
  { timeout: 8 * MINUTES },
  async () => {
    const facteur = await bench.start('as-told');
    const ids = Array.from({ length: 200 }, () => freshId('arriving'));
    const send = async (interactionId: string): Promise<number> =>
      (await facteur.send(event({ interactionId }))).status;
    const statuses = await Promise.all(ids.slice(0, 50).map(send));
    await own.crashApiserver(async () => {
      statuses.push(...(await Promise.all(ids.slice(50, 100).map(send))));
    });
    // It answers, but has not loaded all roles yet.
    statuses.push(...(await Promise.all(ids.slice(100).map(send))));
    expect(statuses.filter((status) => status !== 202)).toEqual([]);
    await expect.poll(() => countRuns(bench.db, 'succeeded'), { timeout: 5 * MINUTES, interval: 500 }).toBe(200);
    expect((await deliveriesOf(ids)).toSorted()).toEqual(ids.toSorted());
  },
);

test('50 live runs survive two restarts of the API server', { timeout: 6 * MINUTES }, async () => {
  const facteur = await bench.start('as-told');
  const ids = Array.from({ length: 50 }, () => freshId('live'));
  await Promise.all(ids.map((interactionId) => facteur.send(event({ interactionId, options: { run: '30s' } }))));
  await expect.poll(() => countRuns(bench.db, 'running'), { timeout: 2 * MINUTES }).toBeGreaterThan(25);
  await own.crashApiserver();
  await own.crashApiserver();
  await expect.poll(() => countRuns(bench.db, 'succeeded'), { timeout: 4 * MINUTES, interval: 500 }).toBe(50);
});

test('facteur and the API server are killed together: every delivery runs once', { timeout: 5 * MINUTES }, async () => {
  const folder = temporaryFolder();
  onTestFinished(() => folder.remove());
  await fillDirectory(join(folder.path, 'postgres'));
  const { kubeconfig } = await logIn(bench.world);
  const serve = async (): Promise<FacteurProcess> => {
    const address = `127.0.0.1:${await freePort()}`;
    return new FacteurProcess({
      env: {
        ...SHIPPED_ENV,
        FACTEUR_SERVER_LISTEN_ADDRESS: address,
        FACTEUR_SERVER_INTAKE_ADDRESS: address,
        FACTEUR_CONFIG_FILE: join(import.meta.dirname, '../../deploy/base/facteur.yaml'),
        FACTEUR_ARGO_WORKFLOW_TEMPLATE: 'as-told',
        FACTEUR_POSTGRES_DSN: `pglite:${join(folder.path, 'postgres')}`,
        FACTEUR_KUBECONFIG: kubeconfig,
      },
    }).ready();
  };
  const ids = Array.from({ length: 40 }, () => freshId('together'));
  const first = await serve();
  const sent = ids.map((interactionId) => first.send(event({ interactionId })).catch(() => undefined));
  await Promise.race(sent);
  await Promise.all([first.kill(), own.local.kill('apiserver')]);
  const answers = await Promise.all(sent);
  expect(answers.some((answer) => answer?.status === 202)).toBe(true);
  const second = await serve();
  onTestFinished(() => second.kill());
  await own.begin('apiserver');
  await own.renewController();
  // Senders without an answer retry.
  const again = await Promise.all(ids.map((interactionId) => second.send(event({ interactionId }))));
  expect(again.filter(({ status }) => status !== 202)).toEqual([]);
  const done = async (): Promise<number> => {
    const workflows = await Promise.all(again.map(({ body }) => bench.world.api.send(workflowPath(body.workflowName))));
    return workflows.filter(({ body }) => (body as Json).status?.phase === 'Succeeded').length;
  };
  await expect.poll(done, { timeout: 3 * MINUTES, interval: 1000 }).toBe(ids.length);
  expect((await deliveriesOf(ids)).toSorted()).toEqual(ids.toSorted());
});

test('lists again if the cluster has compacted the version that facteur knows', { timeout: 5 * MINUTES }, async () => {
  const { api } = bench.world;
  const { facteur, wire } = await startBehindWire('suspended');
  const id = freshId('forgotten');
  const { body } = await facteur.send(event({ interactionId: id }));
  await expectRun(bench.db, id, 'running', MINUTES);
  // The connection is silent, not broken: facteur keeps the version that it knows.
  wire.mute({ newToo: true });
  await bench.argo('resume', body.workflowName);
  await expectPhase(bench, body.workflowName, 'Succeeded');
  const { metadata } = await api.call(workflowPath(''));
  await own.local.kill('apiserver');
  await compact(Number(metadata.resourceVersion));
  await own.begin('apiserver');
  wire.restore();
  await expectRun(bench.db, id, 'succeeded', 2 * MINUTES);
  expect(facteur.log.some((line) => line.includes('watch interrupted') && line.includes('too old'))).toBe(true);
});

/** Starts a facteur that connects to the API server through a proxy that can be muted. */
async function startBehindWire(template: string): Promise<{ readonly facteur: Facteur; readonly wire: TcpProxy }> {
  const { kubeconfig } = await logIn(bench.world);
  const config = parse(readFileSync(kubeconfig, 'utf8'));
  const server = new URL(config.clusters[0].cluster.server);
  const wire = await startTcpProxy(server.hostname, Number(server.port));
  onTestFinished(() => wire.close());
  config.clusters[0].cluster.server = `https://127.0.0.1:${wire.port}`;
  writeFileSync(kubeconfig, stringify(config));
  return { facteur: await bench.start(template, { access: await accessByKubeconfig(kubeconfig) }), wire };
}

/** Compacts etcd up to a revision, as the API server does every five minutes. */
async function compact(revision: number): Promise<void> {
  const body = JSON.stringify({ revision: `${revision}`, physical: true });
  const answer = await fetch(`${own.local.etcdUrl}/v3/kv/compaction`, { method: 'POST', body });
  expect(answer.status).toBe(200);
}

test(
  'etcd is restored from an older backup: facteur finds which of its runs remain',
  { timeout: 8 * MINUTES },
  async () => {
    const { facteur, wire } = await startBehindWire('suspended');
    const kept = freshId('kept');
    const { body } = await facteur.send(event({ interactionId: kept }));
    await expectRun(bench.db, kept, 'running', MINUTES);
    const restore = await own.snapshot();
    await own.renewController();
    const gone = freshId('gone');
    await facteur.send(event({ interactionId: gone }));
    await expectRun(bench.db, gone, 'running', 2 * MINUTES);
    // The cluster continues for a while after the backup.
    for (let revision = 0; revision < 500; revision += 1) {
      await bench.patch(body.workflowName, { metadata: { annotations: { 'facteur.test/revision': `${revision}` } } });
    }
    // The connection is silent: facteur resumes from a version that the restored cluster has not reached yet.
    wire.mute({ newToo: true });
    await restore();
    await own.renewController();
    wire.restore();
    await bench.argo('resume', body.workflowName);
    await expectRun(bench.db, kept, 'succeeded', 3 * MINUTES);
    await expectRun(bench.db, gone, 'lost', 3 * MINUTES);
    expect((await runOf(bench.db, gone)).reason).not.toBe('');
    const after = freshId('after');
    await facteur.send(event({ interactionId: after }));
    await expectRun(bench.db, after, 'running', MINUTES);
  },
);

test(
  'etcd is restored from an older backup: a missing decision and a missing stop are written again',
  { timeout: 8 * MINUTES },
  async () => {
    const { facteur, wire } = await startBehindWire('asks-inline');
    const within = { timeout: 3 * MINUTES, interval: 500 };
    const asking = freshId('asking');
    await facteur.send(event({ interactionId: asking }));
    await expect.poll(() => approvalsOf(asking), within).toEqual(['approve waiting']);
    const stopping = freshId('stopping');
    const door = await bench.start('asks-on-exit', { roles: ['http'] });
    await door.send(event({ interactionId: stopping, options: { run: '600s' } }));
    await expectRun(bench.db, stopping, 'running', 2 * MINUTES);
    const restore = await own.snapshot();
    await own.renewController();
    await facteur.cli('approvals', 'approve', asking, '--by', 'ada');
    await facteur.cli('runs', 'cancel', stopping, '--by', 'ada');
    await expect.poll(() => approvalsOf(asking), within).toEqual(['approve approved', 'decide waiting']);
    await expect.poll(() => approvalsOf(stopping), within).toEqual(['approve waiting']);
    wire.mute({ newToo: true });
    await restore();
    await own.renewController();
    wire.restore();
    // Both waiting steps started after the backup, and start again.
    await expect.poll(() => approvalsOf(asking), within).toEqual(['approve approved', 'decide gone', 'decide waiting']);
    await expect.poll(() => approvalsOf(stopping), within).toEqual(['approve gone', 'approve waiting']);
    await facteur.cli('approvals', 'approve', asking, '--by', 'ada');
    await facteur.cli('approvals', 'approve', stopping, '--by', 'ada');
    await expectRun(bench.db, asking, 'succeeded', MINUTES);
    await expectRun(bench.db, stopping, 'canceled', MINUTES);
  },
);

/** The approvals of a run, in order. */
async function approvalsOf(id: string): Promise<readonly string[]> {
  const { rows } = await bench.db.query<{ readonly node: string; readonly state: string }>({
    text: `SELECT node, a.state FROM facteur.approvals a JOIN facteur.runs USING (run_id) WHERE delivery_id = $1 ORDER BY requested_at`,
    values: [id],
  });
  return rows.map(({ node, state }) => `${node} ${state}`);
}
