import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { createLogger } from '../../base/logger.ts';
import { Secret } from '../../base/secret.ts';
import { DISPATCH } from '../../../test/support/sessions.ts';
import { openSessions } from './open-sessions.ts';

/** Tests without a Redis; those with one are in `redis-sessions.services.test.ts`. */

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) {
    await close();
  }
});

function open(port: number, database = 0) {
  return openUrl(`redis://:canary-password@127.0.0.1:${port}/${database}`);
}

function openUrl(url: string, clock = systemClock) {
  const lines: string[] = [];
  const sessions = openSessions({
    url: new Secret(url),
    clock,
    logger: createLogger('debug', { write: (line) => lines.push(line) }),
  });
  closing.push(() => sessions.close());
  return { sessions, lines };
}

async function listen(onConnection: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  closing.push(() => {
    server.close();
    sockets.forEach((socket) => socket.destroy());
  });
  return { server, port: (server.address() as AddressInfo).port };
}

async function useAll(sessions: ReturnType<typeof open>['sessions']): Promise<void> {
  await sessions.rememberDispatch('1', DISPATCH);
  await sessions.keepToken('i', new Secret('token'));
  expect(await sessions.lastDispatch('1')).toEqual(DISPATCH);
  expect((await sessions.tokenOf('i'))?.reveal()).toBe('token');
  expect(await sessions.tokenOf('unknown')).toBeUndefined();
}

test('without a Redis, uses its own memory, reports that once, and leaks nothing', async () => {
  const { server, port } = await listen(() => undefined);
  server.close();
  const { sessions, lines } = open(port);
  await useAll(sessions);
  await useAll(sessions);
  expect(sessions.status()).toEqual({ store: 'redis', ok: false });
  expect(lines.filter((line) => line.includes('sessions are unavailable'))).toHaveLength(1);
  expect(lines.join('')).not.toMatch(/canary-password|token"/);
});

test('a Redis that never answers does not block callers forever', async () => {
  const { port } = await listen((socket) => socket.resume());
  const { sessions } = open(port);
  await sessions.rememberDispatch('1', DISPATCH);
  await sessions.keepToken('i', new Secret('token'));
  expect((await sessions.tokenOf('i'))?.reveal()).toBe('token');
  expect(sessions.status().ok).toBe(false);
});

test('a Redis with invalid replies counts as down', async () => {
  const { port } = await listen((socket) => socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')));
  const { sessions } = open(port);
  await useAll(sessions);
  expect(sessions.status().ok).toBe(false);
});

/** How a fake Redis answers, besides what is in {@link ANSWERS}. */
interface FakeRedis {
  /** By command, in lower case; all others are `+OK`. */
  readonly answers?: Readonly<Record<string, string>>;
  /** The command whose answer is held back, with all later ones, until the next `info`: a Redis answers in order. */
  readonly slow?: string;
  /** Receives the commands. */
  readonly seen?: string[];
}

/** As much of Redis as a client needs to be ready. */
function answerAsRedis(socket: Socket, { answers = {}, slow, seen = [] }: FakeRedis = {}): void {
  const held: string[] = [];
  let isHeldUp = false;
  socket.on('data', (data) => {
    for (const [, word = ''] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g)) {
      const name = word.toLowerCase();
      seen.push(name);
      isHeldUp ||= name === slow;
      held.push(answers[name] ?? ANSWERS.get(name) ?? '+OK');
      if (!isHeldUp || name === 'info') {
        socket.write(`${held.splice(0).join('\r\n')}\r\n`);
      }
    }
  });
}

const ANSWERS = new Map([['info', '$0\r\n']]);

test('uses a Redis behind a socket', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'facteur-redis-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const seen: string[] = [];
  const server = createServer((socket) => answerAsRedis(socket, { seen })).listen(join(folder, 'redis.sock'));
  closing.push(() => server.close());
  const { sessions } = openUrl(`unix://:canary-password@${folder}/redis.sock?db=1`);
  await vi.waitFor(() => expect(sessions.status().ok).toBe(true));
  await sessions.rememberDispatch('1', DISPATCH);
  expect(seen).toEqual(expect.arrayContaining(['auth', 'select', 'set']));
});

test('uses a Redis again when it comes back', async () => {
  const { server, port } = await listen((socket) => answerAsRedis(socket));
  await new Promise((resolve) => {
    server.close(resolve);
  });
  const { sessions, lines } = open(port);
  await sessions.rememberDispatch('1', DISPATCH);
  expect(sessions.status().ok).toBe(false);
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  await vi.waitFor(() => expect(sessions.status().ok).toBe(true));
  expect(lines.at(-1)).toContain('sessions are available again');
});

test.each([
  ['refused', {}],
  ['refused after the client gave up waiting', { slow: 'select' }],
])('reads and writes nothing on any connection if the choice of the database is %s', async (_what, how) => {
  const connections: string[][] = [];
  const { port } = await listen((socket) => {
    const seen: string[] = [];
    connections.push(seen);
    answerAsRedis(socket, { ...how, answers: { select: '-ERR DB index is out of range' }, seen });
  });
  const { sessions, lines } = open(port, 16);
  await useAll(sessions);
  await vi.waitFor(() => expect(connections.length).toBeGreaterThan(2));
  await useAll(sessions);
  expect(sessions.status().ok).toBe(false);
  expect(connections.flat()).toContain('select');
  expect(connections.flat()).not.toContain('set');
  expect(connections.flat()).not.toContain('getrange');
  expect(lines.filter((line) => line.includes('sessions are available again'))).toEqual([]);
});

test.each([
  ['has become a replica', { answers: { set: "-READONLY You can't write against a read only replica." } }],
  ['has gone silent, without closing it', { slow: 'set' }],
])('a connection to a Redis that %s is replaced', async (_what, how) => {
  let connections = 0;
  const { port } = await listen((socket) => {
    connections += 1;
    answerAsRedis(socket, connections === 1 ? how : {});
  });
  const { sessions } = open(port);
  expect(sessions.status().ok).toBe(false);
  await vi.waitFor(() => expect(sessions.status().ok).toBe(true));
  await sessions.keepToken('i', new Secret('token'));
  await vi.waitFor(() => expect(connections).toBe(2));
  await vi.waitFor(() => expect(sessions.status().ok).toBe(true));
  await sessions.keepToken('i', new Secret('token'));
  expect(sessions.status().ok).toBe(true);
});

test('a replica counts as down until a connection leads to a primary, and is reported once', async () => {
  const refuses = { set: "-READONLY You can't write against a read only replica.", info: '$10\r\nrole:slave' };
  let connections = 0;
  const { port } = await listen((socket) => {
    connections += 1;
    answerAsRedis(socket, connections < 4 ? { answers: refuses } : {});
  });
  const { sessions, lines } = open(port);
  for (const known of [1, 2, 3]) {
    await vi.waitFor(async () => {
      await sessions.keepToken('i', new Secret('token'));
      expect(connections).toBeGreaterThan(known);
    });
  }
  await vi.waitFor(() => expect(sessions.status().ok).toBe(true));
  expect(lines.map((line) => JSON.parse(line).message)).toEqual([
    'sessions are unavailable; continuing without them',
    'sessions are available again',
  ]);
});

test.each(['-READONLY', '-OOM command not allowed'])(
  '%s: counts as down before any session is used',
  async (refusal) => {
    const { port } = await listen((socket) =>
      answerAsRedis(socket, { answers: { set: refusal, info: '$10\r\nrole:slave' } }),
    );
    const { sessions, lines } = open(port);
    await vi.waitFor(() => {
      expect(sessions.status().ok).toBe(false);
      expect(lines).toEqual([expect.stringContaining(refusal.slice(1))]);
    });
  },
);

describe('reports', () => {
  async function openAnswering() {
    const time = { now: Date.now() };
    const answers = { set: '+OK' };
    const { port } = await listen((socket) => answerAsRedis(socket, { answers }));
    const { sessions, lines } = openUrl(`redis://127.0.0.1:${port}`, { now: () => new Date(time.now) });
    await vi.waitFor(() => expect(sessions.status().ok).toBe(true));
    const write = async (answer: string): Promise<void> => {
      answers.set = answer;
      await sessions.keepToken('i', new Secret('token'));
    };
    const reports = () => lines.map((line) => JSON.parse(line)).map(({ message, error }) => error ?? message);
    return { time, write, reports };
  }

  test('every reason of an outage once, but at most one a minute', async () => {
    const { time, write, reports } = await openAnswering();
    const [full, forbidden] = ['OOM command not allowed', 'NOPERM this user has no permissions'];
    await write(`-${full}`);
    await write(`-${forbidden}`);
    expect(reports()).toEqual([full]);
    for (let round = 0; round < 3; round += 1) {
      time.now += 60_000;
      await write(`-${full}`);
      await write(`-${forbidden}`);
    }
    expect(reports()).toEqual([full, forbidden]);
    await write('+OK');
    expect(reports()).toEqual([full, forbidden, 'sessions are available again']);
  });

  test('at most one outage a minute, if Redis refuses only some keys', async () => {
    const { time, write, reports } = await openAnswering();
    const first = ['MOVED 1 127.0.0.1:1', 'sessions are available again'];
    for (let round = 0; round < 10; round += 1) {
      await write('-MOVED 1 127.0.0.1:1');
      await write('+OK');
    }
    expect(reports()).toEqual(first);
    time.now += 60_000;
    await write('-MOVED 1 127.0.0.1:1');
    await write('+OK');
    expect(reports()).toEqual([...first, ...first]);
  });
});

test('connects on first use or when the status is read, and not before', async () => {
  const seen: string[] = [];
  const { port } = await listen((socket) => answerAsRedis(socket, { seen }));
  const unused = open(port);
  await unused.sessions.close();
  expect(unused.sessions.status()).toEqual({ store: 'redis', ok: false });
  const { sessions } = open(port);
  expect(sessions.status().ok).toBe(false);
  await vi.waitFor(() => expect(sessions.status().ok).toBe(true));
  expect(seen.filter((name) => name === 'info')).toHaveLength(1);
});
