import { once } from 'node:events';
import { connect as openConnection } from 'node:net';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { openDoor, type OpenDoor, RECEIPT } from '../../../test/support/http-door.ts';
import { post, RawClient } from '../../../test/support/raw-client.ts';
import type { RunReceipt } from '../../domain/run.ts';

/** Only for tests of the timeouts: on a busy machine everything else may take longer than this. */
const IMPATIENT = { timeouts: { headersMs: 250, requestMs: 500, keepAliveMs: 60_000, checkMs: 20 } };
const JSON_TYPE = { 'content-type': 'application/json' };
const PLAN = post('/events', '{"command":"plan"}', JSON_TYPE);
const HEALTH = 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n';

let door: OpenDoor;
const clients: RawClient[] = [];
beforeEach(async () => {
  door = await openDoor();
});
afterEach(async () => {
  clients.splice(0).forEach((client) => client.close());
  await door.close();
});

async function connect(to = door): Promise<RawClient> {
  const client = await RawClient.connect(to.port);
  clients.push(client);
  return client;
}

async function expectAlive(): Promise<void> {
  expect((await fetch(`${door.url}/healthz`)).status).toBe(200);
}

async function reopenImpatient(): Promise<void> {
  await door.close();
  door = await openDoor(IMPATIENT);
}

describe('a client that takes too long', () => {
  beforeEach(reopenImpatient);

  test.each([
    ['sends nothing at all', ''],
    ['stops in the request line', 'POST /ev'],
    ['stops in the headers', 'POST /events HTTP/1.1\r\nhost: x\r\ncontent-le'],
    ['stops in the body', 'POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"comm'],
    ['stops in a chunk', 'POST /events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n20\r\nabc'],
    ['never sends the last chunk', 'POST /events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n'],
  ])('%s: gets 408 and is disconnected', async (_name, text) => {
    const client = await connect();
    await client.send(text);
    await client.hungUp();
    expect(client.statuses).toEqual([408]);
    expect(client.received).toContain('{"error":"request timeout"}');
    expect(door.dispatch.commands).toEqual([]);
    await expectAlive();
  });

  test('drips its headers byte by byte: gets 408', async () => {
    const client = await connect();
    const drip = setInterval(() => void client.send('x'), 10);
    await client.send('POST /events HTTP/1.1\r\nhost: x\r\nx-slow: ');
    await client.hungUp();
    clearInterval(drip);
    expect(client.statuses).toEqual([408]);
  });

  test('drips its body byte by byte: gets 408', async () => {
    const client = await connect();
    const drip = setInterval(() => void client.send('x'), 10);
    await client.send('POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n');
    await client.hungUp();
    clearInterval(drip);
    expect(client.statuses).toEqual([408]);
  });

  test('is not a client that waits for a slow answer', async () => {
    const { promise, resolve } = Promise.withResolvers<RunReceipt>();
    door.dispatch.answer = () => promise;
    const client = await connect();
    await client.send(PLAN);
    // A client that was too slow is cut off in the meantime: both timeouts have expired.
    const slow = await connect();
    await slow.send('POST /events HTTP/1.1\r\ncontent-length: 9\r\nhost: x\r\n\r\n');
    await slow.hungUp();
    resolve(RECEIPT);
    await client.answers(1);
    expect(client.statuses).toEqual([202]);
  });
});

describe('invalid HTTP', () => {
  test.each([
    ['a binary greeting', '\u0016\u0003\u0001\u0002\0\u0001\0\u0001', 400],
    ['an unknown method', 'FETCH / HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    ['a bad header', 'GET / HTTP/1.1\r\nhost: x\r\nbad header: 1\r\n\r\n', 400],
    ['a header without a name', 'GET / HTTP/1.1\r\n: x\r\n\r\n', 400],
    ['two lengths', 'POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab', 400],
    [
      'a length and chunks',
      'POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a negative length', 'POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n', 400],
    ['an invalid chunk', 'POST /events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 400],
    ['endless headers', `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}`, 431],
  ])('%s: gets %i and is disconnected', async (_name, text, status) => {
    const client = await connect();
    await client.send(Buffer.from(text, 'latin1'));
    await client.hungUp();
    expect(client.statuses).toEqual([status]);
    expect(client.received).toMatch(/\r\n\r\n\{"error":"[a-z ]+"\}$/);
    await expectAlive();
  });

  test('an HTTP/1.1 request without a host: gets 400', async () => {
    const client = await connect();
    await client.send('GET /healthz HTTP/1.1\r\n\r\n');
    await client.hungUp();
    expect(client.statuses).toEqual([400]);
  });

  test('an upgrade is handled as an ordinary request', async () => {
    const client = await connect();
    await client.send('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n');
    await client.answers(1);
    expect(client.statuses).toEqual([200]);
  });
});

describe('a body that is too large', () => {
  const TOO_LARGE = 'x'.repeat(64 * 1024 + 1);

  test('by its content-length: 413 before it arrives, and the connection stays open after it', async () => {
    const client = await connect();
    await client.send(`POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: ${TOO_LARGE.length}\r\n\r\n`);
    await client.answers(1);
    expect(client.statuses).toEqual([413]);
    await client.send(TOO_LARGE);
    await client.send('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    await client.answers(2);
    expect(client.statuses).toEqual([413, 200]);
  });

  test('in chunks: 413 as soon as the limit is exceeded, and the connection stays open after the last one', async () => {
    const client = await connect();
    await client.send('POST /events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    await client.send(`${TOO_LARGE.length.toString(16)}\r\n${TOO_LARGE}\r\n`);
    await client.answers(1);
    expect(client.statuses).toEqual([413]);
    await client.send('0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    await client.answers(2);
    expect(client.statuses).toEqual([413, 200]);
  });

  test('in endless chunks: cut off by the timeout', async () => {
    await reopenImpatient();
    const client = await connect();
    await client.send('POST /events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    const drip = setInterval(() => void client.send(`${TOO_LARGE.length.toString(16)}\r\n${TOO_LARGE}\r\n`), 10);
    await client.hungUp();
    clearInterval(drip);
    // Which of the two comes first depends on how busy the machine is.
    expect([408, 413]).toContain(client.statuses[0]);
    await expectAlive();
  });
});

describe('several requests in one write', () => {
  test('are answered in order', async () => {
    const client = await connect();
    await client.send(`${PLAN}GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n${post('/events', '{', JSON_TYPE)}${PLAN}`);
    await client.answers(4);
    expect(client.statuses).toEqual([202, 200, 400, 202]);
  });

  test('are all answered, even 500 on one connection', async () => {
    const client = await connect();
    await client.send(PLAN.repeat(500));
    await client.answers(500);
    expect(new Set(client.statuses)).toEqual(new Set([202]));
    expect(door.dispatch.commands).toHaveLength(500);
  });

  test('an accepted request gets its answer even if broken bytes follow', async () => {
    const { promise, resolve } = Promise.withResolvers<RunReceipt>();
    door.dispatch.answer = () => promise;
    const client = await connect();
    await client.send(`${PLAN}NONSENSE\r\n\r\n`);
    await vi.waitFor(() => expect(door.dispatch.commands).toHaveLength(1));
    resolve(RECEIPT);
    await client.hungUp();
    expect(client.statuses).toEqual([202]);
  });

  test('an accepted request gets its answer, and many broken bytes after it leak no listeners', async () => {
    const { promise, resolve } = Promise.withResolvers<RunReceipt>();
    door.dispatch.answer = () => promise;
    const warned = vi.fn<(warning: Error) => void>();
    process.on('warning', warned);
    onTestFinished(() => void process.off('warning', warned));
    const client = await connect();
    await client.send(PLAN);
    for (let count = 0; count < 20; count += 1) {
      await client.send('NONSENSE\r\n\r\n');
      await expectAlive();
    }
    resolve(RECEIPT);
    await client.hungUp();
    expect(client.statuses).toEqual([202]);
    expect(warned).not.toHaveBeenCalled();
  });

  test('an accepted request gets its answer even if the next one never ends', async () => {
    await reopenImpatient();
    const { promise, resolve } = Promise.withResolvers<RunReceipt>();
    door.dispatch.answer = () => promise;
    const client = await connect();
    await client.send(`${PLAN}POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{`);
    const other = await connect();
    await other.send('POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n');
    await other.hungUp();
    resolve(RECEIPT);
    await client.hungUp();
    expect(client.statuses[0]).toBe(202);
    expect(client.statuses).not.toContain(200);
  });
});

test('above the connection limit: probes are answered, others get 503, and existing connections continue', async () => {
  await door.close();
  door = await openDoor({ maxConnections: 2 });
  const served = [await connect(), await connect()];
  await Promise.all(served.map((client) => client.send(PLAN)));
  await Promise.all(served.map((client) => client.answers(1)));
  const probe = await connect();
  await probe.send(HEALTH);
  await probe.hungUp();
  expect(probe.received).toMatch(/^HTTP\/1\.1 200 [^]*\{"status":"ok"\}$/);
  const other = await connect();
  await other.send(PLAN);
  await other.hungUp();
  expect(other.received).toMatch(/^HTTP\/1\.1 503 [^]*retry-after: 5\r\n[^]*\{"error":"dispatcher unavailable"\}$/);
  expect(door.dispatch.commands).toHaveLength(2);
  served[0]?.close();
  await served[0]?.hungUp();
  await vi.waitFor(async () => {
    const next = await connect();
    await next.send(PLAN);
    await next.answers(1);
    expect(next.statuses).toEqual([202]);
  });
  await served[1]?.send(PLAN);
  await served[1]?.answers(2);
  expect(served[1]?.statuses).toEqual([202, 202]);
});

test('with a thousand silent excess clients, the oldest is disconnected to make room for the probe', async () => {
  await door.close();
  door = await openDoor({ maxConnections: 1 });
  await connect();
  const oldest = await connect();
  await Promise.all(Array.from({ length: 999 }, () => connect()));
  const probe = await connect();
  await probe.send(HEALTH);
  await probe.hungUp();
  expect(probe.statuses).toEqual([200]);
  await oldest.hungUp();
  expect(oldest.received).toBe('');
});

test('an excess client that keeps sending does not delay a shutdown', async () => {
  await door.close();
  door = await openDoor({ maxConnections: 1 });
  const served = await connect();
  await served.send(HEALTH);
  await served.answers(1);
  const excess = openConnection({ port: door.port, host: '127.0.0.1', allowHalfOpen: true });
  excess.on('error', () => undefined).write(HEALTH);
  const [answer] = await once(excess, 'data');
  const drip = setInterval(() => excess.write('x'), 100);
  onTestFinished(() => clearInterval(drip));
  // The grace never ends.
  await door.close(600_000);
  expect(String(answer)).toContain('HTTP/1.1 200 OK');
});

test('a client that disconnects in the middle of its body causes no dispatch and no error', async () => {
  const client = await connect();
  await client.send('POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"comm');
  client.close();
  await client.hungUp();
  await expectAlive();
  expect(door.dispatch.commands).toEqual([]);
  expect(door.log.join('')).not.toContain('"level":"error"');
});

test('a client that disconnects before its answer causes no error', async () => {
  const { promise, resolve } = Promise.withResolvers<RunReceipt>();
  door.dispatch.answer = () => promise;
  const client = await connect();
  await client.send(PLAN);
  await vi.waitFor(() => expect(door.dispatch.commands).toHaveLength(1));
  client.close();
  resolve(RECEIPT);
  await expectAlive();
  expect(door.log.join('')).not.toContain('"level":"error"');
});
