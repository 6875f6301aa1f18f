import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { openTestPostgres, createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startCluster } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { FacteurProcess, temporaryFolder, writeKubeconfig } from '../support/facteur-process.ts';
import { countRuns, created, requests } from '../support/ledger.ts';
import { codexTask, event, send, type Answer } from '../support/messages.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

// A real PostgreSQL that is cut off, silent, restarted or shared: nothing is lost or duplicated.

let database: TestDatabase;
let proxy: TcpProxy;
beforeEach(async () => {
  database = await createTestDatabase();
  const { hostname, port } = new URL(database.dsn);
  proxy = await startTcpProxy(hostname, Number(port));
});
afterEach(async () => {
  await proxy.close();
  await database.close();
});

/** The test's database through the proxy, with short timeouts. */
function proxiedDsn(password?: string): string {
  const url = new URL(database.dsn);
  url.host = `127.0.0.1:${proxy.port}`;
  url.searchParams.set('statement_timeout', '500');
  url.searchParams.set('connect_timeout', '2');
  if (password !== undefined) {
    url.password = password;
  }
  return url.href;
}

async function startProxied(poolSize = 10): Promise<Facteur> {
  const db = openTestPostgres(proxiedDsn(), { poolSize });
  onTestFinished(() => db.close());
  return startFacteur({ db });
}

const ready = async (url: string): Promise<number> => (await fetch(new URL('/readyz', url))).status;

test('a server that has become silent: 503 and no run; afterwards the delivery is new and runs once', async () => {
  const facteur = await startProxied(1);
  expect(await facteur.send(event({ interactionId: 'before' }))).toMatchObject({ status: 202 });
  proxy.mute();
  const answers = Promise.all([
    facteur.send(event({ interactionId: 'd1' })),
    facteur.send(codexTask({ deliveryId: 'd2' })),
  ]);
  // One has waited long enough for the statement of the other.
  await facteur.timer.pass(50);
  expect((await answers).map(({ status }) => status)).toEqual([503, 503]);
  expect(await countRuns(database.db)).toBe(1);
  proxy.restore({ keepMuted: true });
  await expect.poll(() => ready(facteur.url)).toBe(200);
  expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({
    status: 202,
    body: { duplicate: false },
  });
  expect(await facteur.send(codexTask({ deliveryId: 'd2' }))).toMatchObject({ status: 202 });
  expect(created(facteur.cluster)).toHaveLength(3);
});

test('a server that is down: 503; when it is back, work continues without a restart', async () => {
  const facteur = await startProxied();
  proxy.refuse();
  const refused = await facteur.send(event({ interactionId: 'd1' }));
  expect(refused).toMatchObject({ status: 503, body: { error: 'dispatcher unavailable' } });
  expect(JSON.stringify(refused.body)).not.toContain('127.0.0.1');
  proxy.restore();
  await expect.poll(() => ready(facteur.url)).toBe(200);
  expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({
    status: 202,
    body: { status: 'submitted' },
  });
});

test('terminated backends lose and duplicate nothing', async () => {
  const facteur = await startProxied();
  const ids = Array.from({ length: 60 }, (_, index) => `d${index}`);
  const ended: number[] = [];
  const deliver = async (id: string): Promise<Answer> => {
    for (;;) {
      const answer = await facteur.send(event({ interactionId: id }));
      if (answer.status !== 503) {
        return answer;
      }
    }
  };
  const endBackends = async (): Promise<void> => {
    const { rows } = await database.db.query<{ ended: number }>({
      text: `SELECT count(pg_terminate_backend(pid))::int AS ended FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ 'facteur'`,
    });
    ended.push(rows[0]?.ended ?? 0);
  };
  const delivered = Promise.all(ids.map(deliver));
  for (let round = 0; round < 5; round += 1) {
    await expect.poll(() => countRuns(database.db), { interval: 5 }).toBeGreaterThanOrEqual(round * 10);
    await endBackends();
  }
  const answers = await delivered;
  expect(Math.max(...ended)).toBeGreaterThan(0);
  expect(answers.map(({ status }) => status)).toEqual(ids.map(() => 202));
  // A run whose update was cut off waits for its claim to expire.
  await database.db.query({
    text: 'UPDATE facteur.open_runs SET due_at = now(), claimed_until = NULL WHERE due_at IS NOT NULL',
  });
  await facteur.send(event({ interactionId: 'd0' }));
  await expect.poll(() => countRuns(database.db, 'submitted')).toBe(ids.length);
  expect(created(facteur.cluster).toSorted()).toEqual(answers.map(({ body }) => body.workflowName).toSorted());
});

test('two processes on one database: one delivery is one workflow and one answer', async () => {
  const cluster = await startCluster();
  const folder = temporaryFolder();
  onTestFinished(() => folder.remove());
  const env = {
    FACTEUR_POSTGRES_DSN: database.dsn,
    FACTEUR_KUBECONFIG: writeKubeconfig(folder.path, cluster.kubeconfig()),
  };
  const processes = [new FacteurProcess({ env }), new FacteurProcess({ env })];
  onTestFinished(async () => {
    await Promise.all(processes.map((facteur) => facteur.kill()));
  });
  await Promise.all(processes.map((facteur) => facteur.ready()));
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => send(processes[index % 2]?.url ?? '', event({ interactionId: 'd1' }))),
  );
  expect(answers.filter(({ body }) => body.duplicate === false)).toHaveLength(1);
  const same = answers.map(({ status, body }) => JSON.stringify({ status, ...body, duplicate: undefined }));
  expect([...new Set(same)]).toHaveLength(1);
  expect(created(cluster)).toEqual([answers[0]?.body.workflowName]);

  // The command line is a third process: the submitter is notified of its cancel and does not poll.
  const cancel = new FacteurProcess({ env, args: ['runs', 'cancel', 'd1'] });
  expect(await cancel.exited).toEqual({ code: 0, signal: null });
  await expect.poll(() => requests(cluster, 'patch')).toBe(1);
});

test('a process that starts before its Postgres is unready, not dead, and logs no password', async () => {
  const cluster = await startCluster();
  const folder = temporaryFolder();
  onTestFinished(() => folder.remove());
  const kubeconfig = writeKubeconfig(folder.path, cluster.kubeconfig());
  const start = (dsn: string): FacteurProcess => {
    const facteur = new FacteurProcess({ env: { FACTEUR_POSTGRES_DSN: dsn, FACTEUR_KUBECONFIG: kubeconfig } });
    onTestFinished(() => facteur.kill());
    return facteur;
  };
  proxy.refuse();
  const facteur = start(proxiedDsn());
  const stranger = start(proxiedDsn('CANARY'));
  await facteur.logs('waiting for postgres');
  expect(await ready(facteur.url)).toBe(503);
  expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({ status: 503 });
  proxy.restore();
  await facteur.ready();
  expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({
    status: 202,
    body: { status: 'submitted' },
  });
  // The server rejects its password. It logs that and waits, because the secret may still be on its way.
  await expect.poll(() => stranger.log.join('\n')).toContain('password authentication failed');
  expect(stranger.isRunning).toBe(true);
  expect(facteur.log.join('\n')).not.toContain(new URL(database.dsn).password);
  expect(stranger.log.join('\n')).not.toContain('CANARY');
  expect(await facteur.stop()).toEqual({ code: 0, signal: null });
  expect(await stranger.stop()).toMatchObject({ signal: null });
});
