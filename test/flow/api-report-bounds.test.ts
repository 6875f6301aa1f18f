import { expect } from 'vitest';
import { callApi, type ApiCall } from '../support/api.ts';
import { startFacteur } from '../support/facteur.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { event } from '../support/messages.ts';

/** Sends a report about a run that has just started. */
async function reporter(): Promise<(request: string, call?: ApiCall) => ReturnType<typeof callApi>> {
  const { url, send } = await startFacteur({ db });
  await send(event({ interactionId: 'd1' }));
  const { run_id: runId } = await expectRun(db, 'd1', 'submitted');
  return (request, call) => callApi(url, request.replace(' ', ` /v1/runs/${runId}`), call);
}

test.each<[string, number, string, object]>([
  ['events', 1000, `run_events (task_run_id, event_type) SELECT id, 'x'`, { type: 'x' }],
  [
    'artifacts',
    200,
    `artifacts (task_run_id, artifact_type, uri) SELECT id, 'x', 's3://x/' || n`,
    { type: 'x', uri: 's3://y' },
  ],
  [
    'policy-checks',
    200,
    `policy_checks (idea_id, task_run_id, policy_key, status) SELECT (SELECT id FROM codex_kb.ideas), id, 'x', 'pass'`,
    { policyKey: 'x', status: 'pass' },
  ],
])('the %s of a run are limited to %i', async (kind, most, insert, body) => {
  const report = await reporter();
  await db.query({
    text: `INSERT INTO codex_kb.${insert} FROM codex_kb.task_runs, generate_series(1, $1 -
      (SELECT count(*) FROM codex_kb.${kind.replace('-', '_').replace(/^events/, 'run_events')})) AS n`,
    values: [most - 1],
  });
  const one = await report(`POST /${kind}`, { body });
  const another = await report(`POST /${kind}`, { body: { ...body, ...('uri' in body ? { uri: 's3://z' } : {}) } });
  expect([one.status, another.status, another.body.type]).toEqual([201, 422, expect.stringContaining('limit_reached')]);
});

test('the type, the payload and the idempotency key of an event are limited', async () => {
  const report = await reporter();
  const statusOf = async (body: object, key = 'k'): Promise<number> =>
    (await report('POST /events', { body, headers: { 'idempotency-key': key } })).status;
  const payload = (bytes: number) => ({ x: 'x'.repeat(bytes - '{"x":""}'.length) });
  expect(await statusOf({ type: 'state.change' })).toBe(400);
  expect(await statusOf({ type: `a${'b'.repeat(63)}` })).toBe(400);
  expect(await statusOf({ type: 'x', payload: payload(32 * 1024 + 1) })).toBe(400);
  expect(await statusOf({ type: 'x' }, 'k'.repeat(256))).toBe(400);
  expect(await statusOf({ type: `a${'b'.repeat(62)}`, payload: payload(32 * 1024) }, 'k'.repeat(255))).toBe(201);
});

test('the artifacts of a run are limited to 4 MiB: no list of them fills the memory', async () => {
  const report = await reporter();
  const text = 'x'.repeat(65_000);
  const statuses: number[] = [];
  while (statuses.at(-1) !== 422 && statuses.length < 60) {
    const headers = { 'idempotency-key': `pair-${statuses.length}` };
    const body = { retrievedAnswer: text, nonRetrievedAnswer: text, promptContext: text };
    statuses.push((await report('POST /ssfo-pairs', { body, headers })).status);
  }
  expect(new Set(statuses)).toEqual(new Set([201, 422]));
  const { body } = await report('GET /artifacts');
  expect(body.artifacts).toHaveLength(statuses.length - 1);
  expect(JSON.stringify(body).length).toBeLessThan(5 * 1024 * 1024);
});

test.each(['application/x-www-form-urlencoded', 'text/plain', 'application/x-protobuf'])(
  'a body of type %s is rejected with the name of the accepted type',
  async (type) => {
    const report = await reporter();
    const refused = await report('POST /events', { body: { type: 'x' }, headers: { 'content-type': type } });
    expect(refused).toMatchObject({ status: 415, body: { detail: 'the body must be application/json' } });
  },
);
