import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { findRun } from '../../src/ledger/find-runs.ts';
import { NAMESPACE, type Json } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { countRuns, created } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Requests as CloudEvents' own tools and KafkaSource send them.

interface Request {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

async function readCase(name: string): Promise<Json> {
  return JSON.parse(await readFile(new URL(`../cases/${name}.http.json`, import.meta.url), 'utf8'));
}

/** Sends only these headers: a body of bytes gets no content type. */
async function post(url: string, { headers, body }: Request): Promise<{ status: number; body: Json }> {
  const response = await fetch(url, { method: 'POST', headers, body: Buffer.from(body) });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

test('an event has the same identity in binary and in structured mode', async () => {
  const facteur = await startFacteur({ db });
  const { path, first, second } = await readCase('cloudevent-percent-encoded-id');
  const answers = [];
  for (const request of [first, second, first]) {
    answers.push(await post(`${facteur.url}${path}`, request));
  }
  const deliveryId = '/src/€|order 42 "rush"';
  expect(answers.map(({ status, body }) => [status, body.deliveryId, body.duplicate])).toEqual([
    [202, deliveryId, false],
    [202, deliveryId, true],
    [202, deliveryId, true],
  ]);
  expect(new Set(answers.map(({ body }) => body.runId)).size).toBe(1);
  expect(created(facteur.cluster)).toHaveLength(1);
});

test('the dead letter of an event in binary mode is replayed with the same identity', async () => {
  const facteur = await startFacteur({ db });
  const headers = { 'ce-specversion': '1.0', 'ce-type': 't', 'ce-id': 'a%2520b', 'ce-source': '/s' };
  const refused = await post(`${facteur.url}/events`, { headers, body: '{"command":"plan","options":{"o":"{{x}}"}}' });
  expect(refused.status).toBe(422);
  const { rows } = await db.query<{ id: string; delivery_id: string }>({
    text: 'SELECT id, delivery_id FROM facteur.dead_letters',
  });
  expect(rows).toEqual([expect.objectContaining({ delivery_id: '/s|a%20b' })]);
  // As if facteur accepted it by now.
  await db.query({
    text: 'UPDATE facteur.dead_letters SET body = $1',
    values: [Buffer.from('{"command":"plan","options":{"o":"x"}}')],
  });
  const { code, stdout, stderr } = await facteur.cli('dead-letters', 'replay', rows[0]!.id);
  expect({ code, stdout, stderr }).toMatchObject({ code: 0, stderr: '' });
  expect((await findRun(db, '/s|a%20b'))?.command).toBe('plan');
});

test('an event whose id cannot be stored is rejected permanently, and kept as a dead letter', async () => {
  const facteur = await startFacteur({ db });
  const headers = { 'ce-specversion': '1.0', 'ce-type': 't', 'ce-id': 'a%00b', 'ce-source': '/s' };
  const answer = await post(`${facteur.url}/events`, { headers, body: '{"command":"plan"}' });
  expect(answer).toEqual({
    status: 400,
    body: { error: 'invalid payload', details: 'delivery id: must not contain NUL' },
  });
  const { rows } = await db.query({ text: 'SELECT delivery_id, headers FROM facteur.dead_letters' });
  expect(rows).toEqual([
    { delivery_id: '/s|a\u{fffd}b', headers: expect.objectContaining({ 'ce-id': 'a%00b' }) as unknown },
  ]);
});

test('JSON without a content type is accepted, as by consume', async () => {
  const facteur = await startFacteur({ db });
  const { path, headers, body } = await readCase('no-content-type-kafkasource-json');
  for (const [index, more] of [{}, { 'content-type': 'application/octet-stream' }].entries()) {
    const answer = await post(`${facteur.url}${path}`, { headers: { ...headers, ...more }, body });
    expect(answer).toMatchObject({ status: 202, body: { duplicate: index > 0, status: 'submitted' } });
  }
  expect(await countRuns(db)).toBe(1);
});

test.each(['"42.0"', '"4.2e1"', '"42"', '42.0', '4.2e1', '"420000e-4"'])('issue %s is issue 42', async (number) => {
  const facteur = await startFacteur({ db });
  const { path, headers, body } = await readCase('protojson-quoted-decimal-int64');
  const answer = await post(`${facteur.url}${path}`, { headers, body: body.replace('"42.0"', number) });
  expect(answer).toMatchObject({ status: 202, body: { status: 'submitted' } });
  const { object } = facteur.cluster.store.get('workflows', NAMESPACE, answer.body.workflowName);
  expect(object.metadata.labels).toMatchObject({ 'codex.issue_number': '42' });
});

test.each(['"42.5"', '"4.25e1"', '"1e400"', '"9223372036854775808"', '"1e19"', '"0x2a"', '" 42"', '""', '"1e"'])(
  'issue %s is invalid',
  async (number) => {
    const facteur = await startFacteur({ db });
    const { path, headers, body } = await readCase('protojson-quoted-decimal-int64');
    const answer = await post(`${facteur.url}${path}`, { headers, body: body.replace('"42.0"', number) });
    expect(answer).toMatchObject({ status: 400, body: { details: expect.stringContaining('issue_number') } });
  },
);

test('a trailing slash in a path is ignored', async () => {
  const facteur = await startFacteur({ db });
  const headers = { 'content-type': 'application/json' };
  const answers = [];
  for (const path of ['/events', '/events/', '/events/?a=b']) {
    answers.push(await post(`${facteur.url}${path}`, { headers, body: '{"command":"plan","interactionId":"d1"}' }));
  }
  expect(answers.map(({ status, body }) => [status, body.duplicate])).toEqual([
    [202, false],
    [202, true],
    [202, true],
  ]);
  const task = await post(`${facteur.url}/codex/tasks/`, { headers, body: '{}' });
  expect(task).toMatchObject({ status: 400, body: { error: 'unsupported codex stage' } });
  for (const path of ['/healthz/', '/readyz/']) {
    expect((await fetch(`${facteur.url}${path}`)).status).toBe(200);
  }
});

test('the paths of the Go service are case-insensitive, as they were there', async () => {
  const facteur = await startFacteur({ db });
  const headers = { 'content-type': 'application/json' };
  const event = await post(`${facteur.url}/Events/?a=B`, { headers, body: '{"command":"plan","interactionId":"d1"}' });
  expect(event).toMatchObject({ status: 202, body: { deliveryId: 'd1' } });
  const task = await post(`${facteur.url}/CODEX/Tasks`, { headers, body: '{}' });
  expect(task).toMatchObject({ status: 400, body: { error: 'unsupported codex stage' } });
  const statusOf = async (path: string): Promise<number> => (await fetch(`${facteur.url}${path}`)).status;
  expect(await Promise.all(['/HealthZ', '/READYZ', '/EVENTS', '/eventsX', '/V1/runs'].map(statusOf))).toEqual([
    200, 200, 405, 404, 404,
  ]);
});
