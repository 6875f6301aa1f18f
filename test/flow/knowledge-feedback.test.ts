import { expect } from 'vitest';
import { callApi } from '../support/api.ts';
import { NAMESPACE, type Json } from '../support/cluster.ts';
import { unavailable } from '../support/faulty-database.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { LEARNING, startTask } from '../support/knowledge.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { startTestTelemetry } from '../support/telemetry.ts';
import { countRuns, created, expectRun } from '../support/ledger.ts';

const PAIR = {
  retrievedAnswer: 'pgvector 0.8',
  nonRetrievedAnswer: 'pgvector {{0.5}}',
  promptContext: 'Which version?',
};
const FEEDING = {
  ...LEARNING,
  FACTEUR_KNOWLEDGE_SSFO_WORKFLOW_TEMPLATE: 'plan',
  FACTEUR_KNOWLEDGE_REFRESH_WORKFLOW_TEMPLATE: 'plan',
};

function parametersOf({ cluster }: Facteur, { workflow_name: name }: Json): Record<string, string> {
  const workflow = cluster.store.get('workflows', NAMESPACE, name).object as Json;
  const listed: { name: string; value: string }[] = workflow.spec.arguments.parameters;
  return Object.fromEntries(listed.map((one) => [one.name, one.value]));
}

test('an SSFO pair starts one workflow, even if it is reported repeatedly', async () => {
  const facteur = await startFacteur({ db, env: FEEDING });
  const { runId, token } = await startTask(facteur, 'gh-1');
  const report = (body: object = PAIR) =>
    callApi(facteur.url, `POST /v1/runs/${runId}/ssfo-pairs`, { token, body, headers: { 'idempotency-key': 'q1' } });
  const { status, body } = await report();
  expect(status).toBe(201);
  const pairId = String(body.uri).split('/').at(-1);
  const run = await expectRun(db, `feedback:ssfo-pair:${pairId}`, 'submitted');
  const parameters = parametersOf(facteur, run);
  expect(parameters).toMatchObject({ action: 'ssfo-pair', artifact_uri: body.uri, facteur_token: expect.any(String) });
  expect(JSON.parse(Buffer.from(parameters['ssfo_pair'] ?? '', 'base64').toString())).toEqual({
    ...PAIR,
    runId,
    uri: body.uri,
  });
  expect((await report()).status).toBe(200);
  expect((await report({ ...PAIR, promptContext: 'Another?' })).status).toBe(409);
  expect(await countRuns(db)).toBe(2);
  expect(created(facteur.cluster)).toHaveLength(2);
});

test('a pair whose workflow could not be recorded gets it when it is reported again', async () => {
  const facteur = await startFacteur({ db, env: FEEDING });
  const { runId, token } = await startTask(facteur, 'gh-1');
  const report = () =>
    callApi(facteur.url, `POST /v1/runs/${runId}/ssfo-pairs`, {
      token,
      body: PAIR,
      headers: { 'idempotency-key': 'q1' },
    });
  facteur.faults.before = (name) => {
    if (name === 'record-runs') {
      unavailable();
    }
  };
  expect((await report()).status).toBe(503);
  expect(await countRuns(db)).toBe(1);
  facteur.faults.before = () => undefined;
  expect((await report()).status).toBe(200);
  expect(await countRuns(db)).toBe(2);
});

test('without templates, a pair is only stored, and a refresh is a 503', async () => {
  const facteur = await startFacteur({ db, env: LEARNING });
  const { runId, token } = await startTask(facteur, 'gh-1');
  const headers = { 'idempotency-key': 'q1' };
  const pair = await callApi(facteur.url, `POST /v1/runs/${runId}/ssfo-pairs`, { token, body: PAIR, headers });
  expect(pair.status).toBe(201);
  const refresh = await callApi(facteur.url, 'POST /v1/embedding-refreshes', { body: { version: 'm@4' } });
  expect(refresh).toMatchObject({ status: 503, body: { code: 'refresh_not_configured' } });
  expect(await countRuns(db)).toBe(1);
});

test('a refresh starts one run per version, or per key', async () => {
  const facteur = await startFacteur({ db, env: FEEDING });
  const refresh = (version: string, headers = {}) =>
    callApi(facteur.url, 'POST /v1/embedding-refreshes', { body: { version, notes: 'a {{tag}}' }, headers });
  expect(await refresh('m@4')).toMatchObject({ status: 201, body: { state: 'submitted' } });
  expect(await refresh('m@4')).toMatchObject({ status: 200, body: { duplicate: true } });
  expect((await refresh('m@4', { 'idempotency-key': 'again' })).status).toBe(201);
  expect((await refresh('m@8')).status).toBe(201);
  expect(created(facteur.cluster)).toHaveLength(3);
  const parameters = parametersOf(facteur, await expectRun(db, 'feedback:embedding-refresh:m@4', 'submitted'));
  expect(parameters).toMatchObject({ version: 'm@4', notes: 'a { {tag}}', triggered_by: 'api loopback' });
});

test('an anomaly check is counted once, even if it is reported repeatedly', async () => {
  const telemetry = await startTestTelemetry();
  const facteur = await startFacteur({ db, env: LEARNING, context: { scrape: telemetry.scrape } });
  const { runId, token } = await startTask(facteur, 'gh-1');
  const body = { kind: 'synthetic', outcome: 'fail', payload: { score: 0.93 } };
  for (const status of [201, 200]) {
    const headers = { 'idempotency-key': 'a1' };
    expect(await callApi(facteur.url, `POST /v1/runs/${runId}/anomalies`, { token, body, headers })).toMatchObject({
      status,
    });
  }
  const scraped = await (await fetch(`${facteur.url}/metrics`)).text();
  await telemetry.end();
  expect(scraped).toMatch(/^facteur_anomaly_checks_total\{.*outcome="fail".*\} 1( |$)/m);
});
