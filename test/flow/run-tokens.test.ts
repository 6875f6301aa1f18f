import { expect, onTestFinished } from 'vitest';
import { createLogger } from '../../src/base/logger.ts';
import { reportCommand } from '../../src/cli/report.ts';
import { callApi } from '../support/api.ts';
import { runCommandLine } from '../support/cli.ts';
import { NAMESPACE, startCluster, type Json } from '../support/cluster.ts';
import { parametersOf } from '../support/discord-door.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { expectRun, wholeLedger } from '../support/ledger.ts';
import { codexTask, event, type Message } from '../support/messages.ts';
import { RawClient } from '../support/raw-client.ts';
import { startTestTelemetry } from '../support/telemetry.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { instantTimer } from '../support/instant-timer.ts';

const OLD = { id: 'k1', secret: 'a-key-of-at-least-thirty-two-bytes' };
const NEW = { id: 'k2', secret: 'another-key-of-thirty-two-bytes-or-more' };

const envWith = (...keys: readonly object[]) => ({
  FACTEUR_SERVER_PUBLIC_URL: 'http://facteur.example',
  FACTEUR_SERVER_RUN_TOKEN_KEYS: JSON.stringify(keys),
});

/** A run, with the token that its workflow received, if any. */
async function startRun(
  facteur: Facteur,
  message: Message,
  deliveryId: string,
): Promise<{ id: string; token?: string }> {
  const { body } = await facteur.send(message);
  await expectRun(db, deliveryId, 'submitted');
  const workflow = facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName).object as Json;
  const token = workflow.spec.arguments.parameters.find(({ name }: Json) => name === 'facteur_token');
  return { id: body.runId, ...(token === undefined ? {} : { token: token.value }) };
}

test('Codex workflows receive a token unless they opt out', async () => {
  const facteur = await startFacteur({ db, env: envWith(OLD) });
  const reporting = await startRun(facteur, codexTask({ deliveryId: 'gh-1' }), 'gh-1');
  expect(await callApi(facteur.url, `GET /v1/runs/${reporting.id}`, { token: reporting.token ?? '' })).toMatchObject({
    status: 200,
  });
  const quietly = { ...envWith(OLD), FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_REPORT: 'false' };
  const quiet = await startFacteur({ db, env: quietly, cluster: facteur.cluster });
  expect(await startRun(quiet, codexTask({ deliveryId: 'gh-2' }), 'gh-2')).not.toHaveProperty('token');
  expect(await startRun(quiet, event({ interactionId: 'd1' }), 'd1')).toHaveProperty('token');
});

test('a sender cannot set where its workflow reports, or with which token', async () => {
  const facteur = await startFacteur({ db, env: envWith(OLD) });
  const options = { facteur_url: 'https://elsewhere.example', facteur_token: 'forged' };
  const { id, token } = await startRun(facteur, event({ interactionId: 'd1', options }), 'd1');
  expect(token).not.toBe('forged');
  const { namespace, workflow_name: name } = await expectRun(db, 'd1', 'submitted');
  expect(parametersOf(facteur.cluster.store.get('workflows', namespace, name).object)).toMatchObject({
    facteur_url: envWith(OLD).FACTEUR_SERVER_PUBLIC_URL,
    facteur_token: token,
  });
  expect(await callApi(facteur.url, `GET /v1/runs/${id}`, { token: token ?? '' })).toMatchObject({ status: 200 });
});

/** A Service in front of a deployment's replicas: each request goes to the next one. */
function serviceBefore(replicas: readonly Facteur[]): { readonly fetch: typeof fetch; readonly answers: number[] } {
  let turn = 0;
  const answers: number[] = [];
  return {
    answers,
    fetch: async (url, init) => {
      turn += 1;
      const replica = replicas[turn % replicas.length];
      const { pathname } = new URL(url instanceof Request ? url.url : url);
      const answer = await fetch(`${replica?.url}${pathname}`, init);
      answers.push(answer.status);
      return answer;
    },
  };
}

test('no report is refused or lost while keys are rotated and replicas are replaced', async () => {
  const cluster = await startCluster();
  const start = (...keys: readonly object[]) => startFacteur({ db, cluster, env: envWith(...keys) });
  const replicas = [await start(OLD), await start(OLD)];
  const service = serviceBefore(replicas);
  const timer = instantTimer();
  const sent = new Map<string, string[]>();
  const workflows: Promise<void>[] = [];
  const rotation = new AbortController();
  // Reports until the rotation is over, and at least once.
  async function keepReporting({ id, token = '' }: { id: string; token?: string }): Promise<void> {
    const types: string[] = [];
    sent.set(id, types);
    do {
      const type = `report.${types.length}`;
      const env = { FACTEUR_URL: 'http://facteur.example', FACTEUR_TOKEN: token };
      const commands = [reportCommand({ timer, random: () => 0 })];
      const { code, stderr } = await runCommandLine(['report', 'event', type], commands, { env, fetch: service.fetch });
      expect([code, stderr]).toEqual([0, '']);
      types.push(type);
      // A run may not make more requests than this at once.
    } while (!rotation.signal.aborted && types.length < 40);
  }
  const begin = async (replica: Facteur, id: string): Promise<void> => {
    workflows.push(keepReporting(await startRun(replica, event({ interactionId: id }), id)));
  };
  await begin(replicas[0]!, 'd0');
  // First all replicas know the new key, then it signs, then the old one is removed, here once no run has a token of it.
  for (const [step, keys] of [
    [OLD, NEW],
    [NEW, OLD],
  ].entries()) {
    for (const place of replicas.keys()) {
      const replaced = replicas[place];
      replicas[place] = await start(...keys);
      await begin(replicas[place], `d${step}${place}`);
      await replaced?.app.close();
    }
  }
  rotation.abort();
  await Promise.all(workflows);
  expect(service.answers.filter((status) => status !== 201)).toEqual([]);
  for (const [id, types] of sent) {
    const { rows } = await db.query<{ type: string }>({
      text: `SELECT event_type AS type FROM codex_kb.run_events WHERE task_run_id = $1 AND event_type LIKE 'report.%' ORDER BY id`,
      values: [id],
    });
    expect(rows.map(({ type }) => type)).toEqual(types);
  }
  const last = await start(NEW);
  const { id, token = '' } = await startRun(last, event({ interactionId: 'last' }), 'last');
  expect(await callApi(last.url, `GET /v1/runs/${id}`, { token })).toMatchObject({ status: 200 });
});

test('a token is in no row, log line or trace, even if its workflow reports it or its request fails', async () => {
  const telemetry = await startTestTelemetry();
  const printed: string[] = [];
  const logger = createLogger('debug', {
    write(line) {
      printed.push(line);
      telemetry.logSink.write(line);
    },
  });
  const facteur = await startFacteur({ db, env: envWith(OLD), context: { logger, scrape: telemetry.scrape } });
  const { id, token = '' } = await startRun(facteur, event({ interactionId: 'd1' }), 'd1');
  const body = { type: 'env.dumped', payload: { FACTEUR_TOKEN: token, nested: [`Bearer ${token}`] } };
  const report = (request: string, call: object) => callApi(facteur.url, request, { token, ...call });
  const run = `/v1/runs/${id}`;
  expect(await report(`POST ${run}/events`, { body })).toMatchObject({ status: 201 });
  expect(await report(`POST ${run}/events`, { body, headers: { 'idempotency-key': token } })).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'header.idempotency-key' }] },
  });
  const texts = { uri: `https://x:${token}@host/a`, metadata: { token } };
  await report(`POST ${run}/artifacts`, { body: { type: 'log', ...texts } });
  await report(`PUT ${run}/reflections/critique`, { body: { content: token, author: token } });
  await report(`PUT ${run}/metrics`, { body: { resourceUsage: { token } } });
  await report(`PUT ${run}/retrieval-log`, { body: { token } });
  await report(`POST ${run}/policy-checks`, { body: { policyKey: 'x', status: 'pass', evidenceUri: token } });
  await report(`POST ${run}/nothing`, { body });
  await report(`GET ${run}?token=${token}`, {});
  await report(`GET /v1/runs/${token}`, {});
  facteur.faults.before = () => {
    throw new Error('broken');
  };
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const broken = await fetch(`${facteur.url}${run}/events`, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(broken.status).toBe(500);
  facteur.faults.before = () => undefined;
  await facteur.cluster.disconnect();
  const scraped = await (await fetch(`${facteur.url}/metrics`)).text();
  await telemetry.end();

  const { receiver } = telemetry;
  expect(receiver.spans().length).toBeGreaterThan(10);
  expect(receiver.logs().length).toBeGreaterThan(5);
  const rows = await wholeLedger(db);
  expect(rows).toContain('env.dumped');
  const exported = receiver.requests.map(({ bytes }) => bytes.toString('latin1'));
  // The last part alone would be enough to forge the rest.
  const signature = token.split('.')[2] ?? token;
  for (const [place, text] of Object.entries({
    rows,
    printed: printed.join(''),
    exported: exported.join(''),
    scraped,
  })) {
    expect([place, text.includes(signature)]).toEqual([place, false]);
  }
});

test('only a limited number of the requests of a run wait for the ledger', async () => {
  const facteur = await startFacteur({ db, env: envWith(OLD) });
  const { id, token } = await startRun(facteur, event({ interactionId: 'd1' }), 'd1');
  // `/v1` is loaded on its first request.
  await callApi(facteur.url, 'GET /v1/commands');
  const { promise, resolve } = Promise.withResolvers<void>();
  onTestFinished(() => resolve());
  facteur.faults.before = (statement) => (statement === 'run-standing' ? promise : undefined);
  const flood = await RawClient.connect(Number(new URL(facteur.url).port));
  const read = `GET /v1/runs/${id} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`;
  await flood.send(read.repeat(400));
  await expect.poll(async () => (await callApi(facteur.url, 'GET /v1/commands')).body.code).toBe('unavailable');
  resolve();
  await flood.answers(400);
  flood.close();
  expect(new Set(flood.statuses)).toEqual(new Set([200, 429, 503]));
});
