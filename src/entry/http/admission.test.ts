import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { TurnableTimer } from '../../../test/support/turnable-timer.ts';
import { openDoor, type OpenDoor, RECEIPT } from '../../../test/support/http-door.ts';
import { post, RawClient } from '../../../test/support/raw-client.ts';
import { silentLogger } from '../../base/logger.ts';
import type { RunReceipt } from '../../domain/run.ts';
import { createSigner } from '../../../sandbox/discord/signer.ts';
import { Admission, type AdmissionRoom } from './admission.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const PLAN = post('/events', '{"command":"plan"}', JSON_TYPE);
const HEALTH = 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n';
const NOW = new Date('2026-02-03T04:05:06Z');
const signer = createSigner();
const down = async (): Promise<never> => {
  throw new Error('nobody gets as far');
};

const clients: RawClient[] = [];
afterEach(() => clients.splice(0).forEach((client) => client.close()));

async function open(
  room: AdmissionRoom,
  timer = new TurnableTimer(),
  overrides: Parameters<typeof openDoor>[0] = {},
): Promise<OpenDoor> {
  const door = await openDoor({
    ...overrides,
    admission: new Admission(room),
    maxBodyBytes: 4 * 2 ** 20,
    interactions: {
      ...{
        publicKey: signer.publicKey,
        guildId: undefined,
        rules: () => ({ commands: {}, roleMap: {} }),
        admission: new Admission(room),
      },
      gate: { pass: () => undefined },
      urgent: { run: (work) => work() },
      chat: { command: down, form: down, press: down, decide: down, review: down },
      clock: { now: () => NOW },
      timer,
      logger: silentLogger,
    },
  });
  onTestFinished(() => door.close());
  return door;
}

async function connect({ port }: OpenDoor): Promise<RawClient> {
  const client = await RawClient.connect(port);
  clients.push(client);
  return client;
}

describe('the budget for all bodies in flight', () => {
  test('bytes: a request beyond the budget gets 503, and is accepted once there is room', async () => {
    const door = await open({ bytes: 100_000, requests: 100 });
    const slow = await connect(door);
    await slow.send(
      `POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 90002\r\n\r\n{`,
    );
    await slow.send(' '.repeat(90_000));
    const other = await connect(door);
    // There is room for this one too until the slow one has arrived.
    await vi.waitFor(async () => {
      other.send(post('/codex/tasks', ' '.repeat(20_000), JSON_TYPE)).catch(() => undefined);
      await other.answers(other.statuses.length + 1);
      expect(other.statuses.at(-1)).toBe(503);
    });
    expect(other.received).toContain('retry-after: 5');
    expect(other.received).toContain('{"error":"dispatcher unavailable"}');
    await other.send(HEALTH);
    await other.send(PLAN);
    await vi.waitFor(() => expect(other.statuses.slice(-2)).toEqual([200, 202]));
    await slow.send('}');
    await slow.answers(1);
    await other.send(post('/codex/tasks', ' '.repeat(20_000), JSON_TYPE));
    await vi.waitFor(() => expect(other.statuses.at(-1)).toBe(400));
  });

  test('requests: each counts, however small, until its work is done', async () => {
    const door = await open({ bytes: 100_000, requests: 2 });
    const { promise, resolve } = Promise.withResolvers<RunReceipt>();
    door.dispatch.answer = () => promise;
    const held = [await connect(door), await connect(door)];
    await Promise.all(held.map((client) => client.send(PLAN)));
    await vi.waitFor(() => expect(door.dispatch.commands).toHaveLength(2));
    const other = await connect(door);
    await other.send(PLAN + HEALTH);
    await other.answers(2);
    expect(other.statuses).toEqual([503, 200]);
    // Its client is gone, but its work is still in progress.
    held[0]?.close();
    await held[0]?.hungUp();
    await other.send(PLAN);
    await other.answers(3);
    expect(other.statuses).toEqual([503, 200, 503]);
    resolve(RECEIPT);
    await held[1]?.answers(1);
    await other.send(PLAN);
    await other.answers(4);
    expect(other.statuses).toEqual([503, 200, 503, 202]);
  });

  test('a client that disconnects in the middle of a body frees its room', async () => {
    const door = await open({ bytes: 100_000, requests: 2 });
    for (let count = 0; count < 5; count += 1) {
      const client = await connect(door);
      await client.send('POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: 90000\r\n\r\n{"comm');
      client.close();
      await client.hungUp();
    }
    const other = await connect(door);
    await vi.waitFor(async () => {
      await other.send(PLAN);
      await other.answers(other.statuses.length + 1);
      expect(other.statuses.at(-1)).toBe(202);
    });
  });

  test('a client that disconnects while its token is checked frees its room', async () => {
    const checked = Promise.withResolvers<boolean>();
    const acceptsAccount = vi.fn(() => checked.promise);
    const door = await open({ bytes: 100_000, requests: 2 }, undefined, { acceptsAccount });
    const sent = post('/events', '{"command":"plan"}', { ...JSON_TYPE, authorization: 'Bearer x' });
    for (let count = 1; count <= 5; count += 1) {
      const client = await connect(door);
      await client.send(sent);
      await vi.waitFor(() => expect(acceptsAccount).toHaveBeenCalledTimes(count));
      client.close();
      await client.hungUp();
    }
    const other = await connect(door);
    await other.send(HEALTH);
    await other.answers(1);
    checked.resolve(true);
    await other.send(sent);
    await other.answers(2);
    expect(other.statuses).toEqual([200, 202]);
  });
});

/** The memory of the process after garbage collection, in bytes. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test('a body that arrives byte by byte does not take much more memory', async () => {
  const bytes = 200_000;
  const door = await open({ bytes, requests: 100 });
  const [slow, other] = [await connect(door), await connect(door)];
  await slow.send('POST /events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
  const before = heldBytes();
  await slow.send('1\r\n \r\n'.repeat(bytes));
  // All of it has arrived when there is no room left for anything else.
  await vi.waitFor(async () => {
    await other.send(PLAN);
    await other.answers(other.statuses.length + 1);
    expect(other.statuses.at(-1)).toBe(503);
  });
  expect(heldBytes() - before).toBeLessThan(20 * 2 ** 20);
});

describe("Discord's endpoint, which is open to the internet", () => {
  const timestamp = String(NOW.getTime() / 1000);
  const head = (length: number, headers: Readonly<Record<string, string>>): string =>
    post('/discord/interactions', '', { 'content-length': String(length), ...headers });

  test.each([
    ['no signature', {}],
    ['a signature of another form', { 'x-signature-timestamp': timestamp, 'x-signature-ed25519': 'Z'.repeat(128) }],
    ['an old timestamp', { 'x-signature-timestamp': '1700000000', 'x-signature-ed25519': '0'.repeat(128) }],
  ])('%s: 401 before any of the body has arrived', async (_what, headers) => {
    const client = await connect(await open({ bytes: 2 ** 20, requests: 100 }));
    await client.send(head(4 * 2 ** 20, headers));
    await client.answers(1);
    expect(client.statuses).toEqual([401]);
  });

  test.each([['content-length: 100\r\n\r\n{"ty'], ['transfer-encoding: chunked\r\n\r\n1\r\n{\r\n']])(
    'a body that does not arrive within 3 s gets 408, is disconnected and frees its room',
    async (rest) => {
      const timer = new TurnableTimer();
      const door = await open({ bytes: 2 ** 20, requests: 1 }, timer);
      const slow = await connect(door);
      const seal = `x-signature-timestamp: ${timestamp}\r\nx-signature-ed25519: ${'0'.repeat(128)}\r\n`;
      await slow.send(`POST /discord/interactions HTTP/1.1\r\nhost: x\r\n${seal}${rest}`);
      await timer.pass(3_000);
      await slow.hungUp();
      expect(slow.statuses).toEqual([408]);
      expect(slow.received).toContain('{"error":"request timeout"}');
      const other = await connect(door);
      const ping = '{"type":1}';
      const signed = { 'x-signature-timestamp': timestamp, 'x-signature-ed25519': signer.sign(timestamp, ping) };
      await other.send(post('/discord/interactions', ping, signed));
      await other.answers(1);
      expect(other.statuses).toEqual([200]);
    },
  );

  test('accepts 256 KiB and not one byte more, with or without content-length', async () => {
    const door = await open({ bytes: 2 ** 20, requests: 100 });
    const seal = (body: string) => ({
      'x-signature-timestamp': timestamp,
      'x-signature-ed25519': signer.sign(timestamp, body),
    });
    const largest = JSON.stringify({ type: 1, padding: 'x'.repeat(262_144 - 23) });
    const client = await connect(door);
    await client.send(post('/discord/interactions', largest, seal(largest)));
    await client.answers(1);
    await client.send(head(262_145, seal('')));
    await client.answers(2);
    expect(client.statuses).toEqual([200, 413]);
    const chunked = await connect(door);
    await chunked.send(
      `POST /discord/interactions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n` +
        `${Object.entries(seal(`${largest} `))
          .map(([name, value]) => `${name}: ${value}\r\n`)
          .join('')}\r\n` +
        `40001\r\n${largest} \r\n`,
    );
    await chunked.answers(1);
    expect(chunked.statuses).toEqual([413]);
    expect(Buffer.byteLength(largest)).toBe(262_144);
  });
});
