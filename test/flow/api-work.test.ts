import { randomUUID } from 'node:crypto';
import { describe, expect } from 'vitest';
import { callApi, type ApiAnswer, type ApiCall } from '../support/api.ts';
import type { Json } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { countRuns, expectRun } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { forceState } from '../support/runs.ts';
import { db, test } from '../support/ledger-fixture.ts';

const ROLES = { FACTEUR_ROLE_MAP: '{"plan": ["123456789012345678"]}' };
const CLOUD_EVENT = { 'ce-id': '7', 'ce-source': 'kafka', 'ce-type': 'record', 'ce-specversion': '1.0' };

type Call = (request: string, call?: ApiCall) => Promise<ApiAnswer>;
const of =
  ({ url }: Facteur): Call =>
  (request, call) =>
    callApi(url, request, call);

describe('a dead letter', () => {
  test('can be replayed once it is permitted, and the history of its run names who replayed it', async () => {
    const refusing = await startFacteur({ db, env: ROLES });
    await refusing.send(event({ interactionId: 'd1' }), CLOUD_EVENT);
    const { id } = (await of(refusing)('GET /v1/dead-letters')).body.deadLetters[0];
    const inVain = await of(refusing)(`POST /v1/dead-letters/${id}/replay`);
    expect(inVain).toMatchObject({ status: 403, body: { code: 'forbidden' } });

    const facteur = await startFacteur({ db });
    const call = of(facteur);
    const replayed = await call(`POST /v1/dead-letters/${id}/replay`);
    expect(replayed).toMatchObject({ status: 200, body: { deliveryId: 'd1', duplicate: false } });
    const { body } = await call(`GET /v1/runs/${replayed.body.runId}`);
    expect(body).toMatchObject({
      door: 'http',
      events: expect.arrayContaining([expect.objectContaining({ actor: 'api loopback' })]),
    });
    expect((await call('GET /v1/dead-letters')).body.deadLetters).toEqual([]);
    for (const verb of ['replay', 'drop']) {
      const again = await call(`POST /v1/dead-letters/${id}/${verb}`);
      expect(again).toMatchObject({ status: 409, body: { code: 'dead_letter_settled' } });
    }
    expect(await countRuns(db)).toBe(1);
  });

  test('that is dropped during its replay still names the run that it became', async () => {
    const refusing = await startFacteur({ db, env: ROLES });
    await refusing.send(event({ interactionId: 'd1' }), CLOUD_EVENT);
    const facteur = await startFacteur({ db });
    const call = of(facteur);
    const { id } = (await call('GET /v1/dead-letters')).body.deadLetters[0];
    facteur.faults.before = async (statement) => {
      if (statement === 'settle-dead-letter') {
        facteur.faults.before = () => undefined;
        await call(`POST /v1/dead-letters/${id}/drop`);
      }
    };
    const { runId } = (await call(`POST /v1/dead-letters/${id}/replay`)).body;
    expect((await call(`GET /v1/dead-letters/${id}`)).body).toMatchObject({ outcome: 'replayed', runId });
  });

  test('can be dropped repeatedly, and an unknown one is a 404', async () => {
    const facteur = await startFacteur({ db, env: ROLES });
    await facteur.send(event({ interactionId: 'd1' }), CLOUD_EVENT);
    const call = of(facteur);
    const { id } = (await call('GET /v1/dead-letters')).body.deadLetters[0];
    for (const _time of [1, 2]) {
      expect(await call(`POST /v1/dead-letters/${id}/drop`)).toMatchObject({
        status: 200,
        body: { outcome: 'dropped' },
      });
    }
    expect((await call(`GET /v1/dead-letters/${id}`)).body).toMatchObject({ outcome: 'dropped', body: '' });
    for (const request of [
      'POST /v1/dead-letters/999/drop',
      'POST /v1/dead-letters/999/replay',
      'GET /v1/dead-letters/999',
    ]) {
      expect(await call(request)).toMatchObject({ status: 404, body: { code: 'dead_letter_not_found' } });
    }
  });
});

test('commands are listed with their origin, their roles and their target', async () => {
  const yaml = `commands:
  deploy: { description: Ships it, workflow_template: shipping, report: false, ephemeral: true }
  note: { description: Takes a note, modal: { title: Note, fields: [{ name: content, label: Text, style: paragraph }] } }
`;
  const facteur = await startFacteur({ db, yaml, env: { FACTEUR_ROLE_MAP: '{"deploy": ["123456789012345678"]}' } });
  const { commands } = (await of(facteur)('GET /v1/commands')).body;
  const byName = Object.fromEntries(commands.map((command: Json) => [command.name, command]));
  expect(Object.keys(byName)).toEqual(['deploy', 'implement', 'note', 'plan', 'review', 'status']);
  expect(byName).toMatchObject({
    deploy: {
      origin: 'configured',
      roles: ['123456789012345678'],
      ephemeral: true,
      target: { workflowTemplate: 'shipping' },
    },
    note: { form: { title: 'Note', fields: [{ name: 'content', style: 'paragraph' }] } },
    plan: { origin: 'built in', roles: [], runs: true, options: [{ name: 'objective', required: true }, {}] },
    status: { runs: false },
  });
});

test('runs are counted by state: live ones always, ended ones since a given time', async () => {
  const facteur = await startFacteur({ db });
  const ids: string[] = [];
  for (const id of ['a', 'b', 'c']) {
    ids.push((await facteur.send(event({ interactionId: id }))).body.runId);
    await expectRun(db, id, 'submitted');
  }
  await forceState(db, ids[1] ?? '', 'failed');
  await forceState(db, ids[2] ?? '', 'succeeded');
  const call = of(facteur);
  const today = (await call('GET /v1/run-counts')).body;
  expect(today).toMatchObject({
    complete: true,
    counts: { submitted: 1, failed: 1, succeeded: 1, queued: 0, lost: 0 },
  });
  const later = (await call('GET /v1/run-counts?since=2999-01-01T00:00:00%2B01:00')).body;
  expect(later).toMatchObject({ since: '2998-12-31T23:00:00.000Z', counts: { submitted: 1, failed: 0, succeeded: 0 } });
  expect(await call('GET /v1/run-counts?since=yesterday')).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'query.since' }] },
  });
});

/** An idea, as the first query of a WITH. */
const AN_IDEA = `ideas AS (
  INSERT INTO codex_kb.ideas (source_type, source_ref, status, payload) VALUES ('large', 'one', 'received', '{}') RETURNING id
)`;
const LARGE = `jsonb_build_object('text', repeat('x', 512 * 1024)) FROM`;

test.each([
  [
    'ideas',
    `INSERT INTO codex_kb.ideas (source_type, source_ref, status, payload)
      SELECT 'large', lpad(n::text, 2, '0'), 'received', ${LARGE} generate_series(1, 20) n RETURNING id`,
    () => '/v1/ideas?sourceType=large',
  ],
  [
    'tasks',
    `WITH ${AN_IDEA} INSERT INTO codex_kb.tasks (idea_id, stage, state, metadata)
      SELECT id, 'stage-' || n, 'large', ${LARGE} ideas, generate_series(1, 20) n RETURNING idea_id AS id`,
    () => '/v1/tasks?state=large',
  ],
  [
    'checks',
    `WITH ${AN_IDEA} INSERT INTO codex_kb.policy_checks (idea_id, policy_key, status, metadata)
      SELECT id, 'tests.required', 'pass', ${LARGE} ideas, generate_series(1, 20) n RETURNING idea_id AS id`,
    (id: string) => `/v1/ideas/${id}/policy-checks?policyKey=tests.required`,
  ],
] as const)('a page of large %s ends early, and each row is on exactly one page', async (rows, text, pathOf) => {
  const call = of(await startFacteur({ db }));
  const path = pathOf((await db.query<{ id: string }>({ text })).rows[0]?.id ?? '');
  const sizes: number[] = [];
  const seen = new Set<string>();
  for (let next: string | null = ''; next !== null;) {
    const { body } = await call(`GET ${path}${next === '' ? '' : `&cursor=${next}`}`);
    body[rows].forEach((row: Json) => seen.add(row.checkId ?? row.taskId ?? row.ideaId));
    sizes.push(body[rows].length);
    next = body.next;
  }
  expect([seen.size, sizes]).toEqual([20, [8, 8, 4]]);
  expect(await call(`GET ${path}&cursor=${randomUUID()}`)).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'query.cursor' }] },
  });
});

test('the checks of an unknown idea are a 404, those of an idea without checks an empty page', async () => {
  const call = of(await startFacteur({ db }));
  const { body } = await call('POST /v1/ideas', {
    body: { sourceType: 'roadmap', sourceRef: 'unchecked', payload: {} },
  });
  expect(await call(`GET /v1/ideas/${body.ideaId}/policy-checks`)).toMatchObject({
    status: 200,
    body: { checks: [], next: null },
  });
  expect(await call(`GET /v1/ideas/${randomUUID()}/policy-checks`)).toMatchObject({ status: 404 });
});

describe('ideas', () => {
  test('are added once per source, updated, and listed by source', async () => {
    const call = of(await startFacteur({ db }));
    const body = { sourceType: 'roadmap', sourceRef: 'b', payload: { note: 'https://me:hunter2@host' } };
    const added = await call('POST /v1/ideas', { body });
    expect(added).toMatchObject({ status: 201, body: { status: 'received', priority: 0 } });
    expect(added.body.payload.note).toBe('https://***@host');
    const { ideaId } = added.body;
    const again = await call('POST /v1/ideas', { body: { ...body, priority: 7 } });
    expect(again).toMatchObject({ status: 200, body: added.body });
    const changed = await call(`PATCH /v1/ideas/${ideaId}`, { body: { priority: 7, riskFlags: { legal: true } } });
    expect(changed.body).toMatchObject({ status: 'received', priority: 7, riskFlags: { legal: true } });
    for (const sourceRef of ['a', 'c']) {
      await call('POST /v1/ideas', { body: { ...body, sourceRef } });
    }
    await call('POST /v1/ideas', { body: { ...body, sourceType: 'x' } });
    const first = (await call('GET /v1/ideas?sourceType=roadmap&limit=2')).body;
    const second = (await call(`GET /v1/ideas?sourceType=roadmap&limit=2&cursor=${first.next}`)).body;
    const refs = [...first.ideas, ...second.ideas].map(({ sourceRef }: Json) => sourceRef);
    expect([refs, second.next]).toEqual([['a', 'b', 'c'], null]);
    expect(await call(`GET /v1/ideas?cursor=${randomUUID()}`)).toMatchObject({ status: 400 });
    const alone = await call('GET /v1/ideas?sourceRef=a');
    expect(alone).toMatchObject({ status: 400, body: { errors: [{ field: 'query.sourceType' }] } });
  });

  test('of commands have a reserved source type, and an unknown idea is a 404', async () => {
    const facteur = await startFacteur({ db });
    const call = of(facteur);
    const reserved = await call('POST /v1/ideas', { body: { sourceType: 'discord.command', sourceRef: 'x' } });
    expect(reserved).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'body.sourceType', message: 'is reserved' }] },
    });
    await facteur.send(event({ interactionId: 'd1' }));
    await expectRun(db, 'd1', 'submitted');
    const { ideas } = (await call('GET /v1/ideas?sourceType=discord.command&sourceRef=d1')).body;
    const shown = await call(`GET /v1/ideas/${ideas[0].ideaId}`);
    expect(shown.body.tasks).toMatchObject([{ stage: 'plan', state: 'queued' }]);
    for (const [request, body] of [
      ['GET', undefined],
      ['PATCH', {}],
    ] as const) {
      const missing = await call(`${request} /v1/ideas/${randomUUID()}`, { body });
      expect(missing).toMatchObject({ status: 404, body: { code: 'idea_not_found' } });
    }
  });
});

describe('tasks', () => {
  async function ideaWith(call: Call, ...stages: string[]): Promise<string[]> {
    const { body } = await call('POST /v1/ideas', { body: { sourceType: 'roadmap', sourceRef: 'r' } });
    const tasks = stages.map(async (stage) => {
      const added = await call(`POST /v1/ideas/${body.ideaId}/tasks`, { body: { stage } });
      expect(added).toMatchObject({ status: 201, body: { ideaId: body.ideaId, state: 'planned' } });
      return added.body.taskId;
    });
    return Promise.all(tasks);
  }

  test('are added once per stage, updated, and cleared by null', async () => {
    const call = of(await startFacteur({ db }));
    const [taskId = ''] = await ideaWith(call, 'review');
    const slaDeadline = '2026-12-24T18:00:00+01:00';
    const changed = await call(`PATCH /v1/tasks/${taskId}`, {
      body: { state: 'blocked', assignee: 'ada', slaDeadline },
    });
    expect(changed.body).toMatchObject({ state: 'blocked', assignee: 'ada', slaDeadline: '2026-12-24T17:00:00.000Z' });
    const again = await call(`POST /v1/ideas/${changed.body.ideaId}/tasks`, { body: { stage: 'review' } });
    expect(again).toMatchObject({ status: 200, body: changed.body });
    const emptied = await call(`PATCH /v1/tasks/${taskId}`, { body: { assignee: null, slaDeadline: null } });
    expect(emptied.body).toMatchObject({ state: 'blocked', assignee: null, slaDeadline: null });
    expect(await call(`POST /v1/ideas/${randomUUID()}/tasks`, { body: { stage: 'x' } })).toMatchObject({ status: 404 });
    expect(await call(`PATCH /v1/tasks/${randomUUID()}`, { body: {} })).toMatchObject({ status: 404 });
  });

  test('in one state are listed in pages, even if they changed within one millisecond', async () => {
    const call = of(await startFacteur({ db }));
    await ideaWith(call, 'a', 'b', 'c');
    await db.query({
      text: `UPDATE codex_kb.tasks SET updated_at = timestamptz '2026-01-02 03:04:05.678Z'
        + CASE stage WHEN 'a' THEN 1 ELSE 2 END * interval '1 microsecond'`,
    });
    const stages: string[] = [];
    let cursor = '';
    do {
      const { body } = await call(`GET /v1/tasks?state=planned&limit=1${cursor}`);
      stages.push(...body.tasks.map(({ stage }: Json) => stage));
      cursor = body.next === null ? '' : `&cursor=${body.next}`;
    } while (cursor !== '');
    expect([stages.slice(0, 2).toSorted(), stages.slice(2)]).toEqual([['b', 'c'], ['a']]);
    expect(await call('GET /v1/tasks')).toMatchObject({ status: 400, body: { errors: [{ field: 'query.state' }] } });
    expect(await call('GET /v1/tasks?state=planned&cursor=1_------------------------------------')).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'query.cursor' }] },
    });
  });

  test('depend on others, and a circular dependency is rejected', async () => {
    const call = of(await startFacteur({ db }));
    const [a, b, c] = await ideaWith(call, 'a', 'b', 'c');
    const wait = (one?: string, other?: string, body = {}) =>
      call(`PUT /v1/tasks/${one}/dependencies/${other}`, { body });
    expect(await wait(a, b)).toMatchObject({ status: 201, body: { type: 'hard' } });
    expect(await wait(b, c, { type: 'approval' })).toMatchObject({ status: 201 });
    expect(await wait(a, b, { type: 'soft' })).toMatchObject({ status: 200, body: { type: 'soft' } });
    for (const [one, other] of [
      [c, a],
      [b, a],
      [a, a],
    ] as const) {
      expect(await wait(one, other)).toMatchObject({ status: 409, body: { code: 'circular_dependency' } });
    }
    expect(await wait(a, randomUUID())).toMatchObject({ status: 404, body: { code: 'task_not_found' } });
    const { dependencies } = (await call(`GET /v1/tasks/${a}`)).body;
    expect(dependencies).toEqual([{ taskId: a, dependsOnTaskId: b, type: 'soft' }]);
    expect(await call(`DELETE /v1/tasks/${a}/dependencies/${b}`)).toMatchObject({ status: 204 });
    expect(await call(`DELETE /v1/tasks/${a}/dependencies/${b}`)).toMatchObject({ status: 404 });
    expect(await wait(c, a)).toMatchObject({ status: 201 });
  });

  test('never depend on each other, even if both dependencies are added at once', async () => {
    const call = of(await startFacteur({ db }));
    const [a, b] = await ideaWith(call, 'a', 'b');
    const put = (one?: string, other?: string) => call(`PUT /v1/tasks/${one}/dependencies/${other}`, { body: {} });
    const statuses = (await Promise.all([put(a, b), put(b, a)])).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([201, 409]);
  });
});

test('a value that the database cannot store is a 400', async () => {
  const call = of(await startFacteur({ db }));
  const { body } = await call('POST /v1/ideas', { body: { sourceType: 'roadmap', sourceRef: 'r' } });
  const task = { stage: 'x', slaDeadline: '0000-01-01T00:00:00Z' };
  const answer = await call(`POST /v1/ideas/${body.ideaId}/tasks`, { body: task });
  expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
});

test('the log records who changed what', async () => {
  const env = {
    FACTEUR_SERVER_API_TOKENS: JSON.stringify([{ name: 'ops', scope: 'operate', token: 'operate-token' }]),
  };
  const facteur = await startFacteur({ db, env });
  await callApi(facteur.url, 'POST /v1/ideas', { token: 'operate-token', body: { sourceType: 'x', sourceRef: 'y' } });
  const lines = facteur.log.map((line) => JSON.parse(line));
  expect(lines).toContainEqual(expect.objectContaining({ operationId: 'addIdea', actor: 'api ops', status: 201 }));
});
