import { expect, test, vi } from 'vitest';
import { runCommandLine } from '../../test/support/cli.ts';
import { serveHttp } from '../../test/support/serve-http.ts';
import { systemClock } from '../base/clock.ts';
import { apiClient } from '../clients/facteur/client.ts';
import { reportCommand } from './report.ts';
import { sendCommand } from './send.ts';
import { instantTimer } from '../../test/support/instant-timer.ts';

const TOKEN = ['', Buffer.from('{"sub":"a-run"}').toString('base64url'), ''].join('.');
const JSON_TYPE = { 'content-type': 'application/json' };

test.each(['', '/', '/behind/a/proxy', '/behind/a/proxy/', '//behind'])('facteur may be at %j', async (path) => {
  const asked: (string | undefined)[] = [];
  await using server = await serveHttp(({ url }, response) => {
    asked.push(url);
    response.writeHead(200, JSON_TYPE).end('{"runs":[]}');
  });
  const env = { FACTEUR_URL: server.url + path, FACTEUR_TOKEN: TOKEN };
  const timer = instantTimer();
  const commands = [
    reportCommand({ timer, random: () => 0.5 }),
    sendCommand({ clock: systemClock, random: Math.random }),
  ];
  await runCommandLine(['report', 'event', 'tests.passed'], commands, { env });
  await runCommandLine(['send', 'event', '-', '--url', env.FACTEUR_URL], commands, { env });
  const settings = { server: new URL(env.FACTEUR_URL), token: undefined, fetch, signal: new AbortController().signal };
  await apiClient(settings)('listRuns', { query: {} });
  const at = path.replace(/\/$/, '');
  expect(asked).toEqual([`${at}/v1/runs/a-run/events`, `${at}/events`, `${at}/v1/runs`]);
});

test('retries a report that gets no answer', async () => {
  let asked = 0;
  await using server = await serveHttp((_request, response) => {
    asked += 1;
    if (asked > 1) {
      response.writeHead(201, JSON_TYPE).end('{}');
    }
  });
  const [late, inTime] = [new AbortController(), new AbortController()];
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValueOnce(late.signal).mockReturnValue(inTime.signal);
  void vi.waitUntil(() => asked === 1).then(() => late.abort(new DOMException('too late', 'TimeoutError')));
  const timer = instantTimer();
  const sent = await runCommandLine(
    ['report', 'event', 'tests.passed'],
    [reportCommand({ timer, random: () => 0.5 })],
    { env: { FACTEUR_URL: server.url, FACTEUR_TOKEN: TOKEN } },
  );
  expect([sent.code, sent.stderr, asked]).toEqual([0, '', 2]);
  expect(timeout.mock.calls).toEqual([[30_000], [30_000]]);
});

test('a report fails if the server answers with an HTML page', async () => {
  await using server = await serveHttp((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>');
  });
  const timer = instantTimer();
  const { code, stderr } = await runCommandLine(
    ['report', 'event', 'tests.passed'],
    [reportCommand({ timer, random: () => 0.5 })],
    { env: { FACTEUR_URL: server.url, FACTEUR_TOKEN: TOKEN } },
  );
  expect([code, stderr]).toEqual([1, expect.stringContaining('the server at FACTEUR_URL is not facteur')]);
});

test('a redirected delivery fails, and the answer cannot move the cursor', async () => {
  await using server = await serveHttp(({ method }, response) => {
    response.writeHead(method === 'POST' ? 302 : 200, { ...JSON_TYPE, location: '/login' });
    response.end(JSON.stringify({ error: '\u001b[2J' }));
  });
  const commands = [sendCommand({ clock: systemClock, random: Math.random })];
  const sent = await runCommandLine(['send', 'event', '-', '--url', server.url], commands, {});
  expect(sent).toMatchObject({ code: 1, stderr: 'facteur: facteur answered 302\n' });
  expect(sent.stdout).toMatch(/^302 Found\n  error: [\P{Cc}]+\n$/u);
});
