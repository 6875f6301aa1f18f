import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, onTestFinished } from 'vitest';
import { FacteurError } from '../../src/base/errors.ts';
import { AWAIT_SUBMISSION_MS } from '../../src/entry/http/intake.ts';
import { openDiscordDoor, whispered } from '../support/discord-door.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { created, expectRun, requests, runOf } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { post, RawClient } from '../support/raw-client.ts';
import { db, test } from '../support/ledger-fixture.ts';

// When facteur reports ready and when not; how it starts and stops.

const get = async (facteur: Facteur, path: string) => {
  const response = await fetch(new URL(path, facteur.url));
  return { status: response.status, body: await response.json() };
};

describe('while it starts', () => {
  test('it is alive and unready, and answers 503 with Retry-After, until the schema is in place', async () => {
    const held = Promise.withResolvers<void>();
    const before = (statement: string) => (statement.includes('facteur.migrations') ? held.promise : undefined);
    const facteur = await startFacteur({ db, faults: { before }, awaitReady: false });
    expect(await get(facteur, '/healthz')).toEqual({ status: 200, body: { status: 'ok' } });
    expect(await get(facteur, '/readyz')).toMatchObject({
      status: 503,
      body: { status: 'unready', checks: { postgres: 'starting', cluster: 'ok' } },
    });
    const refused = await facteur.send(event({ interactionId: 'd1' }));
    expect(refused).toMatchObject({ status: 503, body: { error: 'dispatcher unavailable' } });
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    held.resolve();
    await facteur.app.ready;
    expect(await get(facteur, '/readyz')).toMatchObject({ status: 200, body: { status: 'ready' } });
    expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({
      status: 202,
      body: { duplicate: false },
    });
  });

  test('every door asks to try again until the schema is in place', async () => {
    const held = Promise.withResolvers<void>();
    const before = (statement: string) => (statement.includes('facteur.migrations') ? held.promise : undefined);
    const { discord, facteur } = await openDiscordDoor({ db, faults: { before }, awaitReady: false });
    expect(whispered(await discord.people.command('status', []))).toContain('Please try again');
    const events = await fetch(`${facteur.url}/v1/runs`);
    expect({ status: events.status, type: events.headers.get('content-type') }).toEqual({
      status: 503,
      type: 'application/problem+json',
    });
    // Decoding needs no ledger, but keeping a dead letter does.
    const bad = event({ interactionId: 'd1', options: 'none' });
    expect(await facteur.send(bad)).toMatchObject({ status: 400 });
    expect(await facteur.send(bad, { 'ce-id': 'e1' })).toMatchObject({ status: 503 });
    held.resolve();
    await facteur.app.ready;
    expect((await fetch(`${facteur.url}/v1/runs`)).status).toBe(200);
    expect(await facteur.send(bad, { 'ce-id': 'e1' })).toMatchObject({ status: 400 });
  });

  test('it waits for a Postgres that is not up yet', async () => {
    const facteur = await startFacteur({ db, faults: { before: failing(2, 'facteur.migrations') }, awaitReady: false });
    await facteur.app.ready;
    expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({ status: 202 });
    expect(facteur.log.filter((line) => line.includes('waiting for postgres'))).toHaveLength(2);
  });

  test('it also waits for a Postgres that goes down again between the schema and the work', async () => {
    const facteur = await startFacteur({ db, faults: { before: failing(2, 'listen') }, awaitReady: false });
    await facteur.app.ready;
    expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({ status: 202 });
    // It listens: another process wakes it.
    await facteur.cli('runs', 'cancel', 'd1');
    await expect.poll(async () => (await runOf(db, 'd1')).due_at).toBeNull();
  });

  test('it can be stopped while it waits', async () => {
    const facteur = await startFacteur({
      db,
      faults: { before: failing(1000, 'facteur.migrations') },
      awaitReady: false,
    });
    await expect.poll(() => facteur.log.join('')).toContain('waiting for postgres');
    const ended = facteur.app.ready.then(
      () => 'ready',
      () => 'given up',
    );
    await facteur.app.close();
    expect(await ended).toBe('given up');
  });

  test('an address in use is one clear error, and no connection stays open', async () => {
    const sockets = new Set<Socket>();
    const redis = createServer((socket) => {
      sockets.add(socket);
      socket.resume().on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void redis.close());
    await once(redis, 'listening');
    const { port } = redis.address() as AddressInfo;
    const env = { FACTEUR_REDIS_URL: `redis://127.0.0.1:${port}/0` };
    const taken = { ...env, FACTEUR_SERVER_LISTEN_ADDRESS: `127.0.0.1:${port}` };
    await expect(startFacteur({ db, env: taken })).rejects.toMatchObject({ code: 'http.listen' });
    // A later process has connected. By now, the first one would have, too.
    const connected = once(redis, 'connection');
    const { url } = await startFacteur({ db, env });
    await fetch(new URL('/readyz', url));
    await connected;
    await expect.poll(() => sockets.size).toBe(1);
  });

  test('it continues with the runs that another process left', async () => {
    const first = await startFacteur({ db, roles: ['http'] });
    expect(await first.send(event({ interactionId: 'd1' }))).toMatchObject({ body: { status: 'queued' } });
    await first.app.close();
    const second = await startFacteur({ db, roles: ['submit'] });
    await expectRun(db, 'd1', 'submitted');
    expect(created(second.cluster)).toHaveLength(1);
  });
});

describe('while it works', () => {
  test('without Postgres it is unready and names the check; afterwards it is ready again', async () => {
    const facteur = await startFacteur({ db });
    facteur.faults.before = unavailable;
    expect(await get(facteur, '/readyz')).toMatchObject({ status: 503, body: { checks: { postgres: 'unavailable' } } });
    expect((await get(facteur, '/healthz')).status).toBe(200);
    facteur.faults.before = () => undefined;
    expect((await get(facteur, '/readyz')).status).toBe(200);
  });

  test('the probe is answered even if Postgres does not answer', async () => {
    const facteur = await startFacteur({ db });
    const held = Promise.withResolvers<void>();
    facteur.faults.before = () => held.promise;
    expect(await get(facteur, '/readyz')).toMatchObject({ status: 503, body: { checks: { postgres: 'timeout' } } });
    held.resolve();
  });

  test('without the cluster it stays ready, and the check shows it', async () => {
    const facteur = await startFacteur({ db });
    await facteur.cluster.disconnect();
    expect(await get(facteur, '/readyz')).toMatchObject({
      status: 200,
      body: { status: 'ready', checks: { postgres: 'ok', cluster: 'unavailable' } },
    });
  });
});

test('an unreadable certificate for Kafka is an error at the start', async () => {
  const env = {
    FACTEUR_CONSUMER_ENABLED: 'true',
    FACTEUR_CONSUMER_BROKERS: '127.0.0.1:1',
    FACTEUR_CONSUMER_TOPIC: 'commands',
    FACTEUR_CONSUMER_GROUP_ID: 'facteur',
    FACTEUR_CONSUMER_TLS_ENABLED: 'true',
    FACTEUR_CONSUMER_TLS_CA_FILE: '/nonexistent/ca.pem',
  };
  const started = startFacteur({ db, env, roles: ['kafka'] });
  await expect(started).rejects.toThrow('cannot use consumer.tls.ca_file /nonexistent/ca.pem: ENOENT');
});

test('a process that only serves HTTP needs no cluster: others submit its runs', async () => {
  const nowhere = async () => {
    throw new FacteurError('argo.kubeconfig_missing', 'there is no kubeconfig', { retryable: false });
  };
  const door = await startFacteur({ db, roles: ['http'], context: { clusterAccess: nowhere } });
  expect(await get(door, '/readyz')).toMatchObject({ status: 200, body: { checks: { cluster: 'disabled' } } });
  const worker = await startFacteur({ db, roles: ['submit'] });
  const { status, body } = await door.send(event({ interactionId: 'd1' }));
  expect({ status, state: body.status }).toEqual({ status: 202, state: 'queued' });
  await expectRun(db, 'd1', 'submitted');
  expect(created(worker.cluster)).toHaveLength(1);
  await expect(startFacteur({ db, roles: ['http', 'submit'], context: { clusterAccess: nowhere } })).rejects.toThrow(
    'there is no kubeconfig',
  );
});

describe('when it is stopped', () => {
  test('a request that has partly arrived is finished', async () => {
    const facteur = await startFacteur({ db });
    const body = String(event({ interactionId: 'd1' }).body);
    const request = post('/events', body, { 'content-type': 'application/json' });
    const client = await RawClient.connect(facteur.app.address.port);
    await client.send(request.slice(0, -10));
    await expect.poll(() => fetch(`${facteur.url}/healthz`).then(({ status }) => status)).toBe(200);
    const closed = facteur.app.close();
    await client.send(request.slice(-10));
    await client.answers(1);
    expect(client.statuses).toEqual([202]);
    expect(client.received).toContain('"status":"submitted"');
    await closed;
    await expectRun(db, 'd1', 'submitted');
  });

  test('a create in progress is finished and recorded', async () => {
    const facteur = await startFacteur({ db });
    const { requests: faults } = facteur.cluster.faults;
    const hold = faults.add({ match: { verb: 'create' }, action: { kind: 'hold' } });
    const sent = facteur.send(event({ interactionId: 'd1' }));
    await expect.poll(() => requests(facteur.cluster, 'create')).toBe(1);
    const closed = facteur.app.close();
    faults.remove(hold);
    await closed;
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'submitted', due_at: null });
    expect(await sent).toMatchObject({ status: 202, body: { status: 'submitted' } });
  });

  test('a create that takes longer than its sender waited is finished and recorded, too', async () => {
    const facteur = await startFacteur({ db });
    const { requests: faults } = facteur.cluster.faults;
    const hold = faults.add({ match: { verb: 'create' }, action: { kind: 'hold' } });
    const sent = facteur.send(event({ interactionId: 'd1' }));
    await expect.poll(() => requests(facteur.cluster, 'create')).toBe(1);
    await facteur.timer.pass(AWAIT_SUBMISSION_MS);
    expect((await sent).body).toMatchObject({ status: 'queued' });
    const closed = facteur.app.close();
    faults.remove(hold);
    await closed;
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'submitted', due_at: null });
  });

  test('closing it twice waits for the same shutdown', async () => {
    const facteur = await startFacteur({ db });
    expect(facteur.app.close()).toBe(facteur.app.close());
    await facteur.app.close();
  });
});

/** Statements with this word in their name or text fail this many times, as if Postgres were down. */
function failing(times: number, word: string): (statement: string) => void {
  let left = times;
  return (statement) => {
    if (statement.includes(word) && left > 0) {
      left -= 1;
      unavailable();
    }
  };
}

describe('with the dispatcher disabled', () => {
  test('runs are recorded and answered as skipped, without any request to a cluster', async () => {
    const facteur = await startFacteur({
      db,
      env: { FACTEUR_DISABLE_DISPATCHER: 'true' },
      context: { clusterAccess: () => Promise.reject(new Error('nobody may ask')) },
    });
    const answer = await facteur.send(event({ interactionId: 'd1' }));
    expect(answer).toMatchObject({ status: 202, body: { status: 'skipped', duplicate: false } });
    expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({
      body: { ...answer.body, duplicate: true },
    });
    expect(await runOf(db, 'd1')).toMatchObject({ state: 'skipped', due_at: null });
    expect(await get(facteur, '/readyz')).toMatchObject({ status: 200, body: { checks: { cluster: 'disabled' } } });
    expect(facteur.cluster.state()['requests']).toEqual({});
  });

  test.each(['0', 'false', 'no', 'NO', ''])('%j does not disable it', async (value) => {
    const facteur = await startFacteur({ db, env: { FACTEUR_DISABLE_DISPATCHER: value } });
    expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({ body: { status: 'submitted' } });
  });

  test('a skipped run stays skipped when it is enabled again, until somebody retries it', async () => {
    const off = await startFacteur({ db, env: { FACTEUR_DISABLE_DISPATCHER: '1' } });
    const { body } = await off.send(event({ interactionId: 'd1' }));
    const on = await startFacteur({ db });
    expect(await on.send(event({ interactionId: 'd1' }))).toMatchObject({
      body: { status: 'skipped', duplicate: true },
    });
    expect(created(on.cluster)).toEqual([]);
    await on.cli('runs', 'retry', body.runId);
    await expectRun(db, `retry:${body.runId}`, 'submitted');
  });
});
