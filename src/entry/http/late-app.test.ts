import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { fastify, type FastifyInstance } from 'fastify';
import { expect, test, vi } from 'vitest';
import { createLogger } from '../../base/logger.ts';
import { LateApp } from './late-app.ts';

/** A server with a late app for `/late`. `outcomes` are the results of building the app, in order. */
async function open(...outcomes: readonly ('built' | 'failed' | Promise<void>)[]) {
  const log: string[] = [];
  const builds: unknown[] = [];
  const asked: string[] = [];
  const late = new LateApp(
    async () => {
      const outcome = outcomes[builds.length] ?? 'built';
      builds.push(outcome);
      if (outcome === 'failed') {
        throw new Error('no such file');
      }
      await outcome;
      const app = fastify();
      app.addHook('onRequest', async ({ method }) => void asked.push(method));
      app.post('/late', (request) => ({ late: request.body }));
      await app.ready();
      return app;
    },
    createLogger('info', { write: (line) => log.push(line) }),
  );
  const server = createServer((_request, response) => response.end('at once'));
  late.take(server, /^\/late$/);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    asked,
    builds,
    log,
    get: async (path: string) => (await fetch(url + path)).text(),
    post: async () => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch(`${url}/late`, { method: 'POST', headers, body: '{"sent":1}' })).json();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await late.close();
    },
  };
}

test('is built once, on its first request, and loses no body meanwhile', async () => {
  await using door = await open();
  expect(await door.get('/other')).toBe('at once');
  expect(door.builds).toEqual([]);
  expect(await Promise.all([door.post(), door.post()])).toEqual([{ late: { sent: 1 } }, { late: { sent: 1 } }]);
  expect(door.builds).toEqual(['built']);
});

test('drops the request and logs the reason if the build fails, then builds again', async () => {
  await using door = await open('failed');
  await expect(door.post()).rejects.toThrow('fetch failed');
  expect(door.log.join('')).toContain('no such file');
  expect(await door.post()).toEqual({ late: { sent: 1 } });
});

test('gets no requests of clients that disconnect while it is built', async () => {
  const built = Promise.withResolvers<void>();
  await using door = await open(built.promise);
  const impatient = connect(Number(new URL(door.url).port), '127.0.0.1');
  impatient.write('GET /late HTTP/1.1\r\nhost: x\r\n\r\n');
  await vi.waitFor(() => expect(door.builds).toHaveLength(1));
  impatient.destroy();
  await once(impatient, 'close');
  // The server has noticed the disconnect once it answers another client.
  expect(await door.get('/other')).toBe('at once');
  built.resolve();
  expect(await door.post()).toEqual({ late: { sent: 1 } });
  expect(door.asked).toEqual(['POST']);
});

test('can be closed while a build that fails is in progress', async () => {
  const begun = Promise.withResolvers<void>();
  const build = Promise.withResolvers<FastifyInstance>();
  const late = new LateApp(
    async () => {
      begun.resolve();
      return build.promise;
    },
    createLogger('info', { write: () => undefined }),
  );
  const server = createServer();
  late.take(server, /^\/late$/);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const answer = fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/late`);
  await begun.promise;
  const closed = late.close();
  build.reject(new Error('no such file'));
  await closed;
  await expect(answer).rejects.toThrow('fetch failed');
  server.close();
});
