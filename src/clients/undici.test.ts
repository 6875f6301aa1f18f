import { getEventListeners } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Dispatcher } from 'undici';
import { expect, onTestFinished, test, vi } from 'vitest';
import { errorType } from '../base/telemetry.ts';
import { firstHeader } from './first-header.ts';
import { createAgent, exchange, ResponseTooLarge } from './undici.ts';

const NEVER = new AbortController().signal;

/** A server with its open connections, by the client's port, and an agent that opens two at most. */
async function serve(
  listener: RequestListener,
): Promise<{ url: URL; connections: Set<number | undefined>; agent: Dispatcher }> {
  const connections = new Set<number | undefined>();
  const server = createServer(listener);
  server.on('connection', (socket) => {
    const { remotePort } = socket;
    connections.add(remotePort);
    socket.on('close', () => connections.delete(remotePort));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const agent = createAgent({ connections: 2 });
  onTestFinished(async () => {
    await agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), connections, agent };
}

test('an error page that is too large or does not end is left out', async () => {
  const { url, connections, agent } = await serve((request, response) => {
    response.writeHead(Number(request.url?.slice(1))).write('x'.repeat(2_000_000));
  });
  const get = (path: string) => exchange(new URL(path, url), { dispatcher: agent, method: 'GET', signal: NEVER }, 1e6);
  expect(await get('/401')).toMatchObject({ statusCode: 401, body: '' });
  expect(await get('/502')).toMatchObject({ statusCode: 502, body: '' });
  const tooLarge: unknown = await get('/200').catch((error: unknown) => error);
  expect(tooLarge).toBeInstanceOf(ResponseTooLarge);
  expect(errorType(tooLarge)).toBe('ResponseTooLarge');
  await vi.waitFor(() => expect(connections.size).toBe(0));
});

test('requests that were aborted while they waited for a connection are not sent and close none', async () => {
  const held: (() => void)[] = [];
  const paths: (string | undefined)[] = [];
  const { url, connections, agent } = await serve((request, response) => {
    paths.push(request.url);
    held.push(() => response.end('done'));
  });
  const post = (path: string, signal = NEVER) =>
    exchange(new URL(path, url), { dispatcher: agent, method: 'POST', body: '{}', signal }, 100);
  const busy = [post('/busy'), post('/busy')];
  await vi.waitFor(() => expect(held).toHaveLength(2));
  const before = [...connections];
  const controller = new AbortController();
  const aborted = Array.from({ length: 10 }, () => post('/aborted', controller.signal));
  const last = post('/last');
  controller.abort(new Error('enough'));
  await Promise.all(aborted.map((one) => expect(one).rejects.toThrow('enough')));
  held.splice(0).forEach((end) => end());
  await Promise.all(busy);
  await vi.waitFor(() => expect(held).toHaveLength(1));
  held[0]?.();
  expect(await last).toMatchObject({ statusCode: 200, body: 'done' });
  expect(paths).toEqual(['/busy', '/busy', '/last']);
  expect([...connections]).toEqual(before);
});

test('the first of two equal headers counts', async () => {
  const { url, agent } = await serve((_request, response) => {
    response.setHeader('retry-after', ['3', '5']).writeHead(429, { 'content-type': 'text/plain' }).end();
  });
  const { headers } = await exchange(url, { dispatcher: agent, method: 'GET', signal: NEVER }, 100);
  const read = ['retry-after', 'content-type', 'absent'].map((name) => firstHeader(headers, name));
  expect(read).toEqual(['3', 'text/plain', undefined]);
});

test('a signal has no listener of requests that ended, and one that fired sends nothing', async () => {
  const paths: (string | undefined)[] = [];
  const { url, agent } = await serve((request, response) => {
    paths.push(request.url);
    if (request.url === '/broken') {
      request.socket.destroy();
    } else {
      response.end('x'.repeat(10));
    }
  });
  const controller = new AbortController();
  const { signal } = controller;
  const get = (path: string, maxBytes: number) =>
    exchange(new URL(path, url), { dispatcher: agent, method: 'GET', signal }, maxBytes);
  await get('/', 10);
  await expect(get('/', 9)).rejects.toBeInstanceOf(ResponseTooLarge);
  await expect(get('/broken', 10)).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' });
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  controller.abort(new Error('enough'));
  await expect(get('/aborted', 10)).rejects.toThrow('enough');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  expect(paths).not.toContain('/aborted');
});
