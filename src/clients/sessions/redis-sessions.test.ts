import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { createLogger } from '../../base/logger.ts';
import { Secret } from '../../base/secret.ts';
import { DISPATCH } from '../../../test/support/sessions.ts';
import { openSessions } from './open-sessions.ts';

/** What happens to Redis itself is in `redis-sessions.services.test.ts`; here is what happens without one. */

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) {
    await close();
  }
});

function open(port: number) {
  const lines: string[] = [];
  const sessions = openSessions({
    url: new Secret(`redis://:canary-password@127.0.0.1:${port}/0`),
    clock: systemClock,
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

test('without a Redis this process has its own memory, says so once, and leaks nothing', async () => {
  const { server, port } = await listen(() => undefined);
  server.close();
  const { sessions, lines } = open(port);
  await useAll(sessions);
  await useAll(sessions);
  expect(sessions.status()).toEqual({ store: 'redis', ok: false });
  expect(lines.filter((line) => line.includes('sessions are unavailable'))).toHaveLength(1);
  expect(lines.join('')).not.toMatch(/canary-password|token"/);
});

test('a Redis that never answers holds nobody up for much longer than a second', async () => {
  const { port } = await listen((socket) => socket.resume());
  const { sessions } = open(port);
  const started = performance.now();
  await sessions.rememberDispatch('1', DISPATCH);
  await sessions.keepToken('i', new Secret('token'));
  expect(performance.now() - started).toBeLessThan(5000);
  expect((await sessions.tokenOf('i'))?.reveal()).toBe('token');
  expect(sessions.status().ok).toBe(false);
});

test('a Redis that talks nonsense is as good as none', async () => {
  const { port } = await listen((socket) => socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')));
  const { sessions } = open(port);
  await useAll(sessions);
  expect(sessions.status().ok).toBe(false);
});

/** As much of Redis as a client needs to call it ready. */
function answerAsRedis(socket: Socket): void {
  socket.on('data', (data) => {
    for (const [, name = ''] of data.toString().matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g)) {
      socket.write(name.toLowerCase() === 'info' ? '$0\r\n\r\n' : '+OK\r\n');
    }
  });
}

test('one that comes back is used again', async () => {
  const { server, port } = await listen(answerAsRedis);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  const { sessions, lines } = open(port);
  await sessions.rememberDispatch('1', DISPATCH);
  expect(sessions.status().ok).toBe(false);
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  await vi.waitFor(() => expect(sessions.status().ok).toBe(true), { timeout: 5000 });
  expect(lines.at(-1)).toContain('sessions are back');
});
