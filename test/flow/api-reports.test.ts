import { describe, expect } from 'vitest';
import { mintRunToken } from '../../src/base/run-token.ts';
import { Secret } from '../../src/base/secret.ts';
import { API_ROUTES } from '../../src/entry/api/routes.ts';
import { archiveRuns } from '../../src/ledger/retention.ts';
import type { CliIo } from '../../src/cli/io.ts';
import { reportCommand } from '../../src/cli/report.ts';
import { runCommandLine } from '../support/cli.ts';
import { callApi, type ApiCall } from '../support/api.ts';
import { NAMESPACE, type Json } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { expectRun, wholeLedger } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { forceState } from '../support/runs.ts';
import { serveHttp } from '../support/serve-http.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { instantTimer } from '../support/instant-timer.ts';

const KEY = { id: 'k1', secret: 'a-key-of-at-least-thirty-two-bytes' };
const ENV = {
  FACTEUR_SERVER_PUBLIC_URL: 'http://facteur.example',
  FACTEUR_SERVER_RUN_TOKEN_KEYS: JSON.stringify([KEY]),
  FACTEUR_SERVER_API_TOKENS: 'operator-token',
};
const OPERATOR = { token: 'operator-token' };

interface Reporting {
  readonly facteur: Facteur;
  readonly runId: string;
  /** The token that its workflow received. */
  readonly token: string;
  readonly report: (request: string, call?: ApiCall) => ReturnType<typeof callApi>;
}

/** A run whose workflow reports back. */
async function reportingRun(facteur?: Facteur, id = 'd1'): Promise<Reporting> {
  const started = facteur ?? (await startFacteur({ db, env: ENV }));
  const { body } = await started.send(event({ interactionId: id, options: { objective: 'Report' } }));
  await expectRun(db, id, 'submitted');
  const token = parametersOf(started, body.workflowName)['facteur_token'] ?? '';
  const at = (request: string): string => request.replace(' ', ` /v1/runs/${body.runId}`);
  const report: Reporting['report'] = (request, call) => callApi(started.url, at(request), { token, ...call });
  return { facteur: started, runId: body.runId, token, report };
}

function parametersOf({ cluster }: Facteur, workflow: string): Readonly<Record<string, string>> {
  const { object } = cluster.store.get('workflows', NAMESPACE, workflow);
  const { parameters } = (object as Json).spec.arguments;
  return Object.fromEntries(parameters.map(({ name, value }: { name: string; value: string }) => [name, value]));
}

describe('the token that a workflow receives', () => {
  test('comes with the address, and appears in no row and no log line', async () => {
    const { facteur, runId, token } = await reportingRun();
    expect(token).toBe(await mintRunToken({ ...KEY, secret: new Secret(KEY.secret) }, runId, await acceptedAt(runId)));
    const { workflowName } = (await callApi(facteur.url, `GET /v1/runs/${runId}`, { token })).body;
    expect(parametersOf(facteur, workflowName)['facteur_url']).toBe('http://facteur.example');
    const { rows } = await db.query({ text: 'SELECT plan FROM facteur.runs' });
    expect(JSON.stringify([rows, await wholeLedger(db)])).not.toContain(token);
    expect(facteur.log.join('')).not.toContain(token);
  });

  test('is not sent without keys, nor for a command that opts out', async () => {
    const without = await startFacteur({ db });
    const { body } = await without.send(event({ interactionId: 'd1' }));
    await expectRun(db, 'd1', 'submitted');
    expect(parametersOf(without, body.workflowName)).not.toHaveProperty('facteur_token');
    const yaml = 'commands: { quiet: { description: Says nothing, report: false } }';
    const quiet = await startFacteur({ db, env: ENV, yaml });
    const answer = await quiet.send(event({ interactionId: 'd2', command: 'quiet' }));
    await expectRun(db, 'd2', 'submitted');
    expect(parametersOf(quiet, answer.body.workflowName)).not.toHaveProperty('facteur_token');
  });

  test('is valid until a grace period after the run, and again when Argo retries the workflow', async () => {
    const { runId, report } = await reportingRun();
    await forceState(db, runId, 'failed');
    expect(await report('GET ')).toMatchObject({ status: 200 });
    const text = `UPDATE facteur.runs SET finished_at = now() - interval '1 hour', updated_at = now() - interval '16 minutes'`;
    await db.query({ text });
    expect(await report('GET ')).toMatchObject({ status: 401, body: { code: 'run_ended' } });
    await db.query({ text: `UPDATE facteur.runs SET previous_state = state, state = 'running'` });
    expect(await report('GET ')).toMatchObject({ status: 200 });
  });
});

/** A valid request for each route that a run may use. */
const SAMPLES: Readonly<Record<string, ApiCall>> = {
  addRunEvent: { body: { type: 'tests.passed', payload: { count: 3 } }, headers: { 'idempotency-key': 'k' } },
  addArtifact: { body: { type: 'diff', uri: 's3://builds/1/change.diff', checksum: 'sha256:00' } },
  saveReflection: { body: { content: 'Read the docs first.', author: 'me' } },
  addSsfoPair: {
    body: { retrievedAnswer: 'a', nonRetrievedAnswer: 'b', promptContext: 'c' },
    headers: { 'idempotency-key': 'k' },
  },
  putRetrievalLog: { body: { strategy: 'retrieve', candidates: [] } },
  putRunMetrics: { body: { runtimeMs: 5, resourceUsage: { cpu: 1 } } },
  addPolicyCheck: { body: { policyKey: 'tests.required', status: 'pass' }, headers: { 'idempotency-key': 'k' } },
  recordRouterDecision: { body: { strategy: 'retrieve', retrievalUsed: true }, headers: { 'idempotency-key': 'k' } },
  searchReflections: { body: { text: 'docs' } },
  recordAnomalyResult: { body: { kind: 'synthetic', outcome: 'fail' }, headers: { 'idempotency-key': 'k' } },
};
const WRITES = API_ROUTES.filter(
  ({ who, method, path }) => who.self === true && method !== 'GET' && path.includes('{runId}'),
);
const pathOf = (path: string, runId: string): string =>
  path.replace('{runId}', runId).replace('{type}', 'failure_postmortem');

test.each(API_ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))(
  '%s: a run can access only itself',
  async (_name, { method, path, who, operationId }) => {
    const { facteur, token } = await reportingRun();
    const other = await reportingRun(facteur, 'd2');
    const before = await wholeLedger(db);
    const where = pathOf(path, other.runId).replaceAll(/\{\w+\}/g, other.runId);
    const { status, body } = await callApi(facteur.url, `${method} ${where}`, { token, ...SAMPLES[operationId] });
    const allowed = path.includes('{runId}') ? [404, 'run_not_found'] : [200, undefined];
    expect([status, body.code]).toEqual(who.self === true ? allowed : [403, 'forbidden']);
    expect(await wholeLedger(db)).toEqual(before);
  },
);

test.each(WRITES.map((route) => [route.operationId, route] as const))(
  '%s is idempotent, and its writer is in the history',
  async (operationId, { method, path }) => {
    const { facteur, runId, token } = await reportingRun();
    const call = { token, ...SAMPLES[operationId] };
    const where = `${method} ${pathOf(path, runId)}`;
    const first = await callApi(facteur.url, where, call);
    expect(first.status).toBe(operationId === 'putRunMetrics' ? 200 : 201);
    const again = await callApi(facteur.url, where, call);
    expect(again).toMatchObject({ status: 200, body: first.body });
    const { events } = (await callApi(facteur.url, `GET /v1/runs/${runId}/events`, { token })).body;
    const own = events.filter(({ actor }: { actor: string }) => actor === `run ${runId}`);
    expect(own).toHaveLength(operationId === 'putRunMetrics' ? 2 : 1);
  },
);

const BAD: readonly [string, string | Uint8Array<ArrayBuffer>, number, readonly string[]][] = [
  ['an unknown field and a wrong type', '{"type":7,"payload":{},"colour":1}', 400, ['body.colour', 'body.type']],
  ['a text that is too long', `{"type":"${'x'.repeat(64)}"}`, 400, ['body.type']],
  ['NUL', String.raw`{"type":"t","payload":{"a":"\u0000"}}`, 400, ['body.payload.a']],
  ['a lone surrogate', String.raw`{"type":"t","payload":{"a":"\ud800"}}`, 400, ['body.payload.a']],
  ['a duplicate key', '{"type":"t","type":"u"}', 400, ['body.type']],
  [
    'eleven levels of nesting',
    `{"type":"t","payload":{"a":${'['.repeat(9)}${']'.repeat(9)}}}`,
    400,
    [`body.payload.a${'.0'.repeat(9)}`],
  ],
  ['invalid JSON', '{', 400, ['body']],
  ['no content', '', 400, ['body']],
  ['invalid UTF-8', Uint8Array.from([0x22, 0xff, 0x22]), 400, ['body']],
  ['2 MB', JSON.stringify({ type: 't', payload: { a: 'x'.repeat(2_000_000) } }), 413, []],
];

test.each(BAD)(
  'a body with %s is rejected with every error, and nothing is written',
  async (_what, bytes, status, fields) => {
    const { report } = await reportingRun();
    const before = await wholeLedger(db);
    const answer = await report('POST /events', { bytes });
    expect(answer.status).toBe(status);
    expect((answer.body.errors ?? []).map(({ field }: { field: string }) => field).toSorted()).toEqual(fields);
    expect(await wholeLedger(db)).toEqual(before);
  },
);

test('a body that is compressed or of another content type is rejected', async () => {
  const { report } = await reportingRun();
  for (const headers of [{ 'content-type': 'text/plain' }, { 'content-encoding': 'gzip' }]) {
    expect(await report('POST /events', { bytes: '{}', headers })).toMatchObject({ status: 415 });
  }
});

test('a different artifact with the same URI is a conflict that names the field, in any run', async () => {
  const { facteur, report } = await reportingRun();
  const other = await reportingRun(facteur, 'd2');
  const call = SAMPLES['addArtifact'] ?? {};
  expect(await report('POST /artifacts', call)).toMatchObject({ status: 201 });
  const conflict = { status: 409, body: { code: 'conflict', errors: [{ field: 'body.uri' }] } };
  expect(await other.report('POST /artifacts', call)).toMatchObject(conflict);
  const changed = { body: { type: 'diff', uri: 's3://builds/1/change.diff', checksum: 'sha256:01' } };
  expect(await report('POST /artifacts', changed)).toMatchObject(conflict);
  expect((await report('GET /artifacts?type=diff')).body.artifacts).toHaveLength(1);
  const own = { body: { type: 'diff', uri: 'facteur://runs/x/retrieval' } };
  expect(await report('POST /artifacts', own)).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'body.uri' }] },
  });
});

test('a new text replaces a reflection, its author is the run, and secrets are redacted', async () => {
  const { runId, report } = await reportingRun();
  await report('PUT /reflections/critique', { body: { content: 'First.' } });
  const content = 'Use https://user:hunter2@host instead.';
  const second = await report('PUT /reflections/critique', { body: { content, author: 'Linus' } });
  expect(second).toMatchObject({
    status: 200,
    body: {
      content: 'Use https://***@host instead.',
      author: `run ${runId}`,
      metadata: { claimed: { author: 'Linus' } },
    },
  });
  const { body } = await report('GET /reflections');
  expect(body.reflections).toHaveLength(1);
  expect(body.reflections[0]).not.toHaveProperty('embedding');
});

test('secrets in keys and pod tokens of any length are redacted', async () => {
  const { report } = await reportingRun();
  const podToken = ['eyJ'.padEnd(90, 'h'), 'p'.repeat(768), 's'.repeat(342)].join('.');
  const key = `use ghp_${'a'.repeat(36)}`;
  const metadata = { list: [{ 'postgres://user:hunter2@db': 1, [key]: key }], podToken };
  const { body } = await report('POST /artifacts', { body: { type: 'diff', uri: 's3://x/1', metadata } });
  expect(body.metadata).toEqual({ list: [{ 'postgres://user:***@db': 1, 'use ***': 'use ***' }], podToken: '***' });
});

test('an id in capitals is the same run: once per run and once per key still apply', async () => {
  const { facteur, runId, token, report } = await reportingRun();
  const shouting = (request: string, call: ApiCall) =>
    callApi(facteur.url, request.replace(' ', ` /v1/runs/${runId.toUpperCase()}`), { token, ...call });
  await report('PUT /retrieval-log', { body: { a: 1 } });
  expect(await shouting('PUT /retrieval-log', { body: { a: 2 } })).toMatchObject({ status: 409 });
  const check = { body: { policyKey: 'p', status: 'pass' }, headers: { 'idempotency-key': 'k' } };
  await report('POST /policy-checks', check);
  expect(await shouting('POST /policy-checks', check)).toMatchObject({ status: 200 });
});

test('an embedding needs a version and 1536 numbers, and is returned on request', async () => {
  const { report } = await reportingRun();
  const embedding = Array.from({ length: 1536 }, (_none, place) => (place === 3 ? 1 : 0));
  const content = 'By its meaning.';
  const alone = await report('PUT /reflections/critique', { body: { content, embedding } });
  expect(alone).toMatchObject({ status: 400, body: { errors: [{ field: 'body.embedding' }] } });
  const short = { content, embedding: [1], embeddingVersion: 'v' };
  expect(await report('PUT /reflections/critique', { body: short })).toMatchObject({ status: 400 });
  const whole = { content, embedding, embeddingVersion: 'v' };
  expect(await report('PUT /reflections/critique', { body: whole })).toMatchObject({ status: 201 });
  const { body } = await report('GET /reflections?include=embedding');
  expect(body.reflections[0].embedding).toEqual(embedding);
});

test('a run is limited to 20 types of reflections, and can still replace existing ones', async () => {
  const { report } = await reportingRun();
  for (let place = 0; place < 20; place += 1) {
    expect(await report(`PUT /reflections/type_${place}`, { body: { content: 'x' } })).toMatchObject({ status: 201 });
  }
  const more = await report('PUT /reflections/one_more', { body: { content: 'x' } });
  expect(more).toMatchObject({ status: 422, body: { code: 'limit_reached' } });
  expect(await report('PUT /reflections/type_3', { body: { content: 'y' } })).toMatchObject({ status: 200 });
});

const GATES: readonly [number, number, boolean, string][] = [
  [0, 0, true, 'pass'],
  [0.1, 0.2, true, 'pass'],
  [0.1, 0.2, false, 'fail'],
  [-0.01, 0.2, true, 'fail'],
  [0.1, -0.01, true, 'fail'],
];
test.each(GATES)(
  'a promotion gate with faithfulness %d, retrieval %d, approved %s: %s',
  async (faithfulnessDelta, retrievalGain, approved, status) => {
    const { facteur, token } = await reportingRun();
    const { rows } = await db.query<{ id: string }>({ text: 'SELECT id FROM codex_kb.ideas' });
    const where = `POST /v1/ideas/${rows[0]?.id}/promotion-gates`;
    const body = { candidateVersion: 'v2', faithfulnessDelta, retrievalGain, approved };
    expect(await callApi(facteur.url, where, { token, body })).toMatchObject({ status: 403 });
    const gate = await callApi(facteur.url, where, { ...OPERATOR, body, headers: { 'idempotency-key': 'g' } });
    expect(gate).toMatchObject({ status: 201, body: { policyKey: 'promotion.gate', status } });
  },
);

test('a run with a retrieval log is archived together with it', async () => {
  const { runId, report } = await reportingRun();
  await report('PUT /retrieval-log', SAMPLES['putRetrievalLog']);
  await report('POST /policy-checks', SAMPLES['addPolicyCheck']);
  await forceState(db, runId, 'succeeded');
  await db.query({ text: `UPDATE facteur.runs SET accepted_at = '2020-01-01', updated_at = '2020-01-01'` });
  expect(await archiveRuns(db, { olderThanSeconds: 90 * 86_400, limit: 10 })).toMatchObject({ seen: 1, archived: 1 });
  const { rows } = await db.query<{ snapshot: object }>({ text: 'SELECT snapshot FROM codex_kb.task_runs_history' });
  expect(rows[0]?.snapshot).toMatchObject({
    retrieval: { strategy: 'retrieve' },
    checks: [{ policy_key: 'tests.required' }],
  });
});

describe('facteur report', () => {
  const REPORTS: readonly [string, readonly string[], string, object][] = [
    [
      'event',
      ['event', 'tests.passed', '--payload', '{"count":3}'],
      'events',
      { type: 'tests.passed', payload: expect.objectContaining({ count: 3 }) },
    ],
    [
      'artifact',
      ['artifact', 'diff', 's3://b/1.diff', '--checksum', 'sha256:00'],
      'artifacts',
      { uri: 's3://b/1.diff' },
    ],
    ['reflection', ['reflection', 'critique', 'Read first.'], 'reflections', { content: 'Read first.' }],
    ['check', ['check', 'tests.required', 'pass'], 'policy-checks', { policyKey: 'tests.required', status: 'pass' }],
    [
      'router',
      ['router', 'retrieve', 'true', '--notes', 'as always'],
      'policy-checks',
      { policyKey: 'retrieval.router', status: 'pass', metadata: expect.objectContaining({ notes: 'as always' }) },
    ],
    [
      'anomaly',
      ['anomaly', 'synthetic', 'fail', '--payload', '{"score":1}'],
      'policy-checks',
      { policyKey: 'anomaly.synthetic', status: 'fail', metadata: { score: 1 } },
    ],
    [
      'ssfo',
      ['ssfo', '{"retrievedAnswer":"a","nonRetrievedAnswer":"b","promptContext":"c"}'],
      'artifacts',
      { type: 'ssfo_pair', metadata: { retrievedAnswer: 'a', nonRetrievedAnswer: 'b', promptContext: 'c' } },
    ],
    [
      'retrieval',
      ['retrieval', '{"strategy":"retrieve"}'],
      'artifacts',
      { type: 'retrieval_decision_log', metadata: { strategy: 'retrieve' } },
    ],
  ];
  const at = (facteur: Facteur, token: string) => ({ FACTEUR_URL: facteur.url, FACTEUR_TOKEN: token });
  const timer = instantTimer();
  const run = (args: readonly string[], overrides: Partial<CliIo>) =>
    runCommandLine(['report', ...args], [reportCommand({ timer, random: () => 0.5 })], overrides);

  test.each(REPORTS)('%s', async (_what, args, list, expected) => {
    const { facteur, token, report } = await reportingRun();
    expect(await run(args, { env: at(facteur, token) })).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const { body } = await report(`GET /${list}`);
    expect(Object.values(body)[0]).toContainEqual(expect.objectContaining(expected));
  });

  test('metric', async () => {
    const { facteur, token, report } = await reportingRun();
    await run(['metric', '{"cpuSeconds":12}'], { env: at(facteur, token) });
    expect((await report('GET /metrics')).body).toMatchObject({ resourceUsage: { cpuSeconds: 12 } });
  });

  test('--key makes a pair idempotent if its step runs again, and a pair can come from standard input', async () => {
    const { facteur, token, report } = await reportingRun();
    const pair = '{"retrievedAnswer":"a","nonRetrievedAnswer":"b","promptContext":"c"}';
    const given = { env: at(facteur, token), readStdin: async () => Buffer.from(pair) };
    expect(await run(['ssfo', pair, '--key', 'q1'], given)).toMatchObject({ code: 0 });
    expect(await run(['ssfo', '--key', 'q1'], given)).toMatchObject({ code: 0 });
    expect((await report('GET /artifacts')).body.artifacts).toHaveLength(1);
    expect(await run(['router', 'retrieve', 'maybe'], given)).toMatchObject({ code: 2 });
  });

  test('retries while facteur is unreachable or not ready, and is stored once', async () => {
    const { facteur, token, report } = await reportingRun();
    let calls = 0;
    const flaky: CliIo['fetch'] = async (url, init) => {
      calls += 1;
      if (calls === 1) {
        throw new TypeError('fetch failed');
      }
      const answer = await fetch(url, init);
      // Accepted, but the response is lost.
      return calls === 2 ? new Response('{}', { status: 503 }) : answer;
    };
    const sent = await run(['event', 'tests.passed'], { env: at(facteur, token), fetch: flaky });
    expect([sent.code, calls, timer.waits.length]).toEqual([0, 3, 2]);
    const { events } = (await report('GET /events')).body;
    expect(events.filter(({ type }: { type: string }) => type === 'tests.passed')).toHaveLength(1);
  });

  test('fails on a redirect: a GET would succeed and report nothing', async () => {
    const { token } = await reportingRun();
    await using proxy = await serveHttp(({ method, url }, response) => {
      response.writeHead(method === 'GET' ? 200 : 301, { location: `${url}/` }).end('{}');
    });
    const sent = await run(['event', 'tests.passed'], { env: { FACTEUR_URL: proxy.url, FACTEUR_TOKEN: token } });
    expect(sent).toMatchObject({ code: 1, stderr: expect.stringContaining('facteur answered 301') });
  });

  test('fails with the reason if it is rejected, and exits with 0 without a destination', async () => {
    const { facteur, token } = await reportingRun();
    const refused = await run(['event', 'Not A Type'], { env: at(facteur, token) });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('body.type must be') });
    expect(await run(['event', 'x', '--payload', '7'], { env: at(facteur, token) })).toMatchObject({ code: 2 });
    expect(await run(['event', 'x'], { env: { FACTEUR_URL: '', FACTEUR_TOKEN: '' } })).toMatchObject({ code: 0 });
  });
});

async function acceptedAt(runId: string): Promise<Date> {
  const { rows } = await db.query<{ at: Date }>({
    text: 'SELECT accepted_at AS at FROM facteur.runs WHERE run_id = $1',
    values: [runId],
  });
  return rows[0]?.at ?? new Date(0);
}
