import type { RequestListener, ServerResponse } from 'node:http';
import { expect } from 'vitest';
import { A_RUN } from '../../src/entry/api/examples.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import type { Json } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { event } from '../support/messages.ts';
import { newRun } from '../support/runs.ts';
import { serveHttp } from '../support/serve-http.ts';

const TOKEN = 'operate-token';
const ENV = { FACTEUR_SERVER_API_TOKENS: JSON.stringify([{ name: 'ops', scope: 'operate', token: TOKEN }]) };

const lines = (stdout: string): Json[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

const SECRET = 'secret-token-of-mine';

test('list shows more runs than fit on one page', async () => {
  const facteur = await startFacteur({ db, roles: ['http'] });
  for (let count = 0; count < 501; count += 1) {
    await recordRun(db, { run: newRun(), claim: true });
  }
  const run = await facteur.cliWith({ FACTEUR_SERVER: `${facteur.url}/` }, 'runs', 'list', '--json', '--limit', '600');
  expect(new Set(lines(run.stdout).map(({ runId }) => runId)).size).toBe(501);
});

test('no error prints the token', async () => {
  const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
  const list = ['runs', 'list'];
  const failing: readonly (readonly string[])[] = [
    [...list, '--server', facteur.url, '--token', SECRET],
    [...list, '--server', facteur.url, '--token', `${SECRET}\nx`],
    [...list, '--server', 'http://127.0.0.1:1', '--token', SECRET],
    [...list, '--server', `http://user:${SECRET}@127.0.0.1:1`],
    [...list, '--server', facteur.url, '--token', SECRET, '--limit', '0'],
    ['--debug', ...list, '--server', facteur.url, '--token', SECRET],
  ];
  for (const args of failing) {
    const { code, stdout, stderr } = await facteur.cli(...args);
    expect(code).not.toBe(0);
    expect(stderr).not.toBe('');
    expect(stdout + stderr + facteur.log.join('')).not.toContain(SECRET);
  }
});

test.each<[string, number, string]>([
  ['--server facteur', 2, '--server: must be an http or https URL'],
  ['--server URL --token wrong', 1, 'invalid token; set FACTEUR_TOKEN to one of its server.api_tokens'],
  ['--server URL', 1, 'a bearer token is required; set FACTEUR_TOKEN to one of its server.api_tokens'],
  ['--server http://127.0.0.1:1', 1, 'http://127.0.0.1:1 cannot be reached'],
  ['--server URL/elsewhere', 1, 'the server is not facteur: it answered 404 in an unexpected format'],
])('%s is reported in one line', async (options, code, message) => {
  const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
  const args = options.replace('URL', facteur.url).split(' ');
  const run = await facteur.cli('runs', 'list', ...args);
  expect(run).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(message) });
  expect(run.stderr.split('\n')).toHaveLength(2);
});

test.each<[string, number, unknown]>([
  ['a problem', 403, { code: 'x', detail: 'no \u001b]0;owned\u0007\nfacteur: run is retried' }],
  ['null', 403, null],
  ['a run', 200, { runs: [{ runId: '\u001b[2J' }], runId: '\u001b[2J', workflowName: '', duplicate: false }],
])('%s from a server prints no control characters and forges no line', async (_what, status, body) => {
  const facteur = await startFacteur({ db, roles: ['http'] });
  await using server = await serveHttp((_request, response) => response.writeHead(status).end(JSON.stringify(body)));
  const { stdout, stderr } = await facteur.cliWith({ FACTEUR_SERVER: server.url }, 'runs', 'retry', 'x');
  expect(stdout + stderr).toMatch(/^[\P{Cc}]+\n$/u);
  expect(stderr).not.toContain('Cannot read');
});

test.each(['submit plan --option objective=x', 'dead-letters drop 1', 'dead-letters show 1', 'knowledge stats'])(
  'the JSON of another server makes %s fail',
  async (line) => {
    const facteur = await startFacteur({ db, roles: ['http'] });
    await using server = await serveHttp((_request, response) => response.end('{"status":"ok"}'));
    const run = await facteur.cliWith({ FACTEUR_SERVER: server.url }, ...line.split(' '));
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('the server is not facteur') });
  },
);

const JSON_TYPE = { 'content-type': 'application/json' };

test.each<[string, RequestListener, RegExp]>([
  ['unexpected JSON', (_request, response) => response.end('{}'), /is not facteur: the answer has an unexpected form/],
  ['a list with null', (_request, response) => response.end('{"runs":[null]}'), /is not facteur/],
  [
    'JSON that is not an object',
    (_request, response) => response.end('[]'),
    /is not facteur: the answer has an unexpected form/,
  ],
  ['an HTML page', (_request, response) => response.end('<html>'), /is not facteur: the answer is not JSON/],
  [
    'a redirect',
    (_request, response) => response.writeHead(308, { location: 'https://facteur.example/v1/runs?token=x' }).end(),
    /is not facteur: it redirects to https:\/\/facteur\.example\n$/,
  ],
  [
    'an error of a proxy',
    (_request, response) => response.writeHead(502).end('<html>Bad Gateway</html>'),
    /^facteur: http:\/\/127\.0\.0\.1:\d+ answered 502 but not in the format of facteur/,
  ],
  [
    'a truncated answer',
    (_request, response) => {
      response.writeHead(200, { ...JSON_TYPE, 'content-length': '100' }).write('{"runs":[', () => response.destroy());
    },
    /^facteur: http:\/\/127\.0\.0\.1:\d+ broke off its answer: /,
  ],
  [
    'an endless answer',
    (_request, response) => {
      const more = (): void => void response.write('a'.repeat(1024 * 1024), (error) => (error ? undefined : more()));
      more();
    },
    /is not facteur: the answer does not end/,
  ],
])('%s is reported as what it is', async (_what, answer, message) => {
  const facteur = await startFacteur({ db, roles: ['http'] });
  await using server = await serveHttp(answer);
  const run = await facteur.cliWith({ FACTEUR_SERVER: server.url }, 'runs', 'list');
  expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
  expect(run.stderr.split('\n')).toHaveLength(2);
});

test('a watch survives a restart of facteur behind its proxy, and warns once', async () => {
  const facteur = await startFacteur({ db, roles: ['http'] });
  const page = (state: string): string => JSON.stringify({ runs: [{ ...A_RUN, state }], next: null });
  const answers: ((response: ServerResponse) => void)[] = [
    (response) => response.end(page('running')),
    (response) => response.writeHead(502).end('<html>Bad Gateway</html>'),
    (response) => response.destroy(),
    (response) => response.end(page('succeeded')),
  ];
  await using server = await serveHttp((_request, response) => answers.shift()?.(response));
  const run = await facteur.cliWith({ FACTEUR_SERVER: server.url }, 'runs', 'watch', A_RUN.runId);
  expect(run).toMatchObject({ code: 0, stdout: expect.stringMatching(/ {2}running.*\n.* {2}succeeded/) });
  expect(run.stderr).toMatch(/^facteur: warning: \S+ answered 502 .*; trying again\n$/);
});

test('a misspelled variable is reported with the nearest known one', async () => {
  const facteur = await startFacteur({ db, roles: ['http'], env: ENV });
  const env = { FACTEUR_SERVER: facteur.url, FACTEUR_TOKN: TOKEN };
  expect(await facteur.cliWith(env, 'runs', 'list')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /^facteur: warning: FACTEUR_TOKN: unknown variable; did you mean FACTEUR_TOKEN\?\nfacteur: .*bearer token/,
    ),
  });
});

test('a cancel records the name of the token', async () => {
  const facteur = await startFacteur({ db, env: ENV });
  await facteur.send(event({ interactionId: 'd1' }));
  const at = { FACTEUR_SERVER: facteur.url, FACTEUR_TOKEN: TOKEN };
  expect((await facteur.cliWith(at, 'runs', 'cancel', 'd1', '--by', 'me')).code).toBe(2);
  expect((await facteur.cliWith(at, 'runs', 'cancel', 'd1')).code).toBe(0);
  const { cancelRequestedBy } = JSON.parse((await facteur.cli('runs', 'show', 'd1', '--json')).stdout);
  expect(cancelRequestedBy).toBe('api ops');
});
