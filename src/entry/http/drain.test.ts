import { afterEach, expect, test, vi } from 'vitest';
import { openDoor, type OpenDoor, RECEIPT } from '../../../test/support/http-door.ts';
import { post, RawClient } from '../../../test/support/raw-client.ts';
import type { RunReceipt } from '../../domain/run.ts';

const PLAN = post('/events', '{"command":"plan"}', { 'content-type': 'application/json' });
const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;

const clients: RawClient[] = [];
let door: OpenDoor;
afterEach(async () => {
  clients.splice(0).forEach((client) => client.close());
  await door.close();
});

async function connect(): Promise<RawClient> {
  const client = await RawClient.connect(door.port);
  clients.push(client);
  return client;
}

/** A request that stays in flight until it is released. */
async function requestUnderWay(): Promise<{ client: RawClient; letGo: () => void }> {
  const { promise, resolve } = Promise.withResolvers<RunReceipt>();
  door.dispatch.answer = () => promise;
  const client = await connect();
  await client.send(PLAN);
  await vi.waitFor(() => expect(door.dispatch.commands).toHaveLength(1));
  return { client, letGo: () => resolve(RECEIPT) };
}

test('a request in flight finishes, and its answer closes the connection', async () => {
  door = await openDoor();
  const { client, letGo } = await requestUnderWay();
  const closed = door.close(3_600_000);
  letGo();
  await closed;
  await client.hungUp();
  expect(client.statuses).toEqual([202]);
  expect(client.received).toMatch(/^connection: close\r$/im);
});

test('closes a connection once the body of a request that was answered early has arrived', async () => {
  door = await openDoor({ maxBodyBytes: 100 });
  const client = await connect();
  const body = 'x'.repeat(200);
  const order = post('/events', body, { 'content-type': 'application/json' });
  await client.send(order.slice(0, -100));
  await vi.waitFor(() => expect(client.statuses).toEqual([413]));
  const closed = door.close(3_600_000);
  await expect(fetch(`${door.url}/healthz`)).rejects.toThrow('fetch failed');
  await client.send(body.slice(100));
  await closed;
});

test('if readiness is probed, keeps serving until a probe has seen it unready', async () => {
  door = await openDoor({ farewell: { noticeMs: 3_600_000, settleMs: 0 } });
  const status = async (path: string, init?: RequestInit) => (await fetch(door.url + path, init)).status;
  expect(await status('/readyz')).toBe(200);
  const closed = door.close(3_600_000);
  const order = { method: 'POST', body: '{"command":"plan"}', headers: { 'content-type': 'application/json' } };
  // New connections, because the answers close the existing ones.
  expect([await status('/events', order), await status('/healthz'), await status('/events', order)]).toEqual([
    202, 200, 202,
  ]);
  expect(await status('/readyz')).toBe(503);
  await closed;
  await expect(fetch(`${door.url}/healthz`)).rejects.toThrow('fetch failed');
});

test('does not wait forever for a probe', async () => {
  door = await openDoor({ farewell: { noticeMs: 1, settleMs: 3_600_000 } });
  await fetch(`${door.url}/readyz`);
  await door.close(3_600_000);
  await expect(fetch(`${door.url}/healthz`)).rejects.toThrow('fetch failed');
});

test('accepts no new connection', async () => {
  door = await openDoor();
  const { letGo } = await requestUnderWay();
  const closed = door.close(3_600_000);
  await expect(fetch(`${door.url}/healthz`)).rejects.toThrow('fetch failed');
  letGo();
  await closed;
});

test('refuses new requests on open connections, but answers probes', async () => {
  door = await openDoor();
  const { letGo } = await requestUnderWay();
  const starts = {
    '/events': PLAN,
    '/healthz': GET('/healthz'),
    '/readyz': GET('/readyz'),
    '/nowhere': GET('/nowhere'),
  };
  const half = await Promise.all(
    Object.entries(starts).map(async ([path, text]) => {
      const client = await connect();
      await client.send(text.slice(0, 10));
      return { path, client, rest: text.slice(10) };
    }),
  );
  // The server has seen the first bytes of all four once it answers a fifth connection.
  await fetch(`${door.url}/healthz`);
  const closed = door.close(3_600_000);
  for (const { client, rest } of half) {
    await client.send(rest);
    await client.hungUp();
    expect(client.received).toMatch(/^connection: close\r$/im);
  }
  const answers = Object.fromEntries(half.map(({ path, client }) => [path, client]));
  expect(answers['/events']?.statuses).toEqual([503]);
  expect(answers['/events']?.received).toContain('{"error":"dispatcher unavailable"}');
  expect(answers['/events']?.received).toMatch(/^retry-after: \d+\r$/im);
  expect(answers['/healthz']?.statuses).toEqual([200]);
  expect(answers['/readyz']?.statuses).toEqual([503]);
  expect(answers['/readyz']?.received).toContain('{"status":"unready","checks":{"server":"draining"}}');
  expect(answers['/nowhere']?.statuses).toEqual([503]);
  expect(door.dispatch.commands).toHaveLength(1);
  letGo();
  await closed;
});

test('idle and unused connections do not delay the close', async () => {
  door = await openDoor();
  const idle = await connect();
  await idle.send(GET('/healthz'));
  await idle.answers(1);
  const unused = await connect();
  // Connections are accepted in order: the unused one is known when this is answered.
  await fetch(`${door.url}/healthz`);
  await door.close(60_000);
  await Promise.all([idle.hungUp(), unused.hungUp()]);
  expect([idle.statuses, unused.statuses]).toEqual([[200], []]);
});

test('aborts requests that are still in flight when the grace period ends', async () => {
  door = await openDoor();
  const { client } = await requestUnderWay();
  const stuck = await connect();
  await stuck.send('POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{');
  await door.close(50);
  await Promise.all([client.hungUp(), stuck.hungUp()]);
  expect(client.statuses).toEqual([]);
});

test('close is idempotent', async () => {
  door = await openDoor();
  await Promise.all([door.close(), door.close()]);
  await door.close();
  await expect(fetch(`${door.url}/healthz`)).rejects.toThrow('fetch failed');
});

test('an address in use is one clear error', async () => {
  door = await openDoor();
  await expect(openDoor({}, { host: '127.0.0.1', port: door.port })).rejects.toMatchObject({
    code: 'http.listen',
    message: expect.stringContaining(`server.listen_address: cannot listen on 127.0.0.1:${door.port}`),
  });
});

test('an empty host listens on every interface', async () => {
  door = await openDoor({}, { host: '', port: 0 });
  expect((await fetch(`http://127.0.0.1:${door.port}/healthz`)).status).toBe(200);
});
