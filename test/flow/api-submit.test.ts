import { describe, expect } from 'vitest';
import { callApi, type ApiAnswer } from '../support/api.ts';
import { NAMESPACE, type Json } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { countRuns, created, expectRun, runOf, wholeLedger } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

const ENV = {
  FACTEUR_SERVER_API_TOKENS: JSON.stringify([{ name: 'ops', scope: 'operate', token: 'operate-token' }]),
  FACTEUR_ROLE_MAP: '{"implement": ["123456789012345678"]}',
};
const YAML = `commands:
  note:
    description: Takes a note
    modal: { title: Note, fields: [{ name: content, label: Text, style: paragraph }] }
`;

const start = (): Promise<Facteur> => startFacteur({ db, env: ENV, yaml: YAML });

function submit({ url }: Facteur, body: object, key?: string): Promise<ApiAnswer> {
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  return callApi(url, 'POST /v1/runs', { token: 'operate-token', body, headers });
}

function parametersOf({ cluster }: Facteur, workflow: string): Readonly<Record<string, string>> {
  const { parameters } = (cluster.store.get('workflows', NAMESPACE, workflow).object as Json).spec.arguments;
  return Object.fromEntries(parameters.map(({ name, value }: { name: string; value: string }) => [name, value]));
}

const PLAN = { command: 'plan', options: { objective: 'Submit it' } };
/** A task as JSON, as its own door accepts it. */
const taskOf = (fields: Parameters<typeof codexTask>[0]): Json => JSON.parse(String(codexTask(fields).body));

describe('a command', () => {
  test('runs, and its history begins with the requester', async () => {
    const facteur = await start();
    const { status, body, headers } = await submit(facteur, { ...PLAN, user: { id: '42' }, correlationId: 'c-1' });
    expect([status, body.state, body.duplicate, body.correlationId]).toEqual([201, 'submitted', false, 'c-1']);
    expect(headers.get('location')).toBe(`/v1/runs/${body.runId}`);
    expect(parametersOf(facteur, body.workflowName)).toEqual({ action: 'plan', objective: 'Submit it' });
    const shown = await callApi(facteur.url, `GET ${headers.get('location')}`, { token: 'operate-token' });
    expect(shown.body).toMatchObject({ door: 'api', userId: '42', command: 'plan' });
    expect(shown.body.events[0]).toMatchObject({ actor: 'api ops', payload: { to: 'queued', door: 'api' } });
  });

  test('starts one run per key, on any replica, and a new run for each request without a key', async () => {
    const facteur = await start();
    const first = await submit(facteur, PLAN, 'k1');
    const other = await startFacteur({ db, env: ENV, cluster: facteur.cluster });
    // The first replica answers before it writes that it created the workflow.
    await expectRun(db, 'k1', 'submitted');
    const again = await submit(other, PLAN, 'k1');
    expect(again).toMatchObject({ status: 200, body: { ...first.body, duplicate: true } });
    expect(created(facteur.cluster)).toEqual([first.body.workflowName]);
    await submit(facteur, PLAN);
    await submit(facteur, PLAN);
    expect(await countRuns(db)).toBe(3);
  });

  test('with an empty key is rejected: each request of a broken script would start a run', async () => {
    const facteur = await start();
    const { status, body } = await submit(facteur, PLAN, '');
    expect([status, body.errors]).toEqual([400, [{ field: 'header.idempotency-key', message: 'must not be empty' }]]);
    expect(await countRuns(db)).toBe(0);
  });

  test('has its own keys: it cannot take the id of a delivery at another door', async () => {
    const facteur = await start();
    const own = await submit(facteur, PLAN, 'd1');
    const theirs = await facteur.send(event({ interactionId: 'd1' }));
    expect(theirs).toMatchObject({ status: 202, body: { duplicate: false, deliveryId: 'd1' } });
    expect(await submit(facteur, PLAN, 'd1')).toMatchObject({ status: 200, body: { runId: own.body.runId } });
    expect((await facteur.send(event({ interactionId: 'd1' }))).body.runId).toBe(theirs.body.runId);
  });

  test('with a form gets the payload that the form would send', async () => {
    const facteur = await start();
    const { body } = await submit(facteur, { command: 'note', options: { content: 'Buy milk' } }, 'k1');
    const parameters = parametersOf(facteur, body.workflowName);
    expect(parameters['content']).toBe('Buy milk');
    expect(JSON.parse(parameters['payload'] ?? '')).toMatchObject({ prompt: 'Buy milk', runId: 'k1' });
  });

  test('that needs a role runs for users who have it; others get a 403 and are recorded as refusals', async () => {
    const facteur = await start();
    const options = { project: 'p', branch: 'b' };
    const user = { id: '42', roles: ['123456789012345678'] };
    expect(await submit(facteur, { command: 'implement', options, user })).toMatchObject({ status: 201 });
    const refused = await submit(facteur, { command: 'Implement', options, user: { id: '43' } });
    const detail = 'body.command requires a role that the user does not have';
    expect(refused).toMatchObject({ status: 403, body: { code: 'forbidden', detail } });
    const { body } = await callApi(facteur.url, 'GET /v1/refusals', { token: 'operate-token' });
    expect(body.refusals).toMatchObject([{ door: 'api', userId: '43' }]);
  });
});

describe('a Codex task', () => {
  test('is deduplicated by its delivery id at this door and at its own', async () => {
    const facteur = await start();
    const first = await submit(facteur, { codexTask: taskOf({ deliveryId: 'gh-1' }) });
    expect(first).toMatchObject({ status: 201, body: { deliveryId: 'gh-1', state: 'submitted' } });
    const atDoor = await facteur.send(codexTask({ deliveryId: 'gh-1' }));
    expect(atDoor.body).toMatchObject({ runId: first.body.runId, duplicate: true });
    const byKey = await submit(facteur, { codexTask: taskOf({}) }, 'gh-1');
    expect(byKey).toMatchObject({ status: 200, body: { runId: first.body.runId } });
    expect(await runOf(db, 'gh-1')).toMatchObject({ door: 'api', kind: 'codex' });
  });
});

const task = taskOf({ deliveryId: 'gh-1' });
const REFUSED: readonly [string, object, string, readonly string[]][] = [
  ['an empty body', {}, '400 invalid_request', ['body.command']],
  [
    'a command together with a task',
    { ...PLAN, codexTask: task },
    '400 invalid_request',
    ['body.command', 'body.options'],
  ],
  [
    'an option that is not a string',
    { command: 'plan', options: { objective: 7 } },
    '400 invalid_request',
    ['body.options.objective'],
  ],
  ['an unknown command', { command: 'deploy' }, '422 unknown_command', ['body.command']],
  ['a command that starts no run', { command: 'status' }, '422 unknown_command', ['body.command']],
  [
    'options that do not match the definition',
    { command: 'plan', options: { colour: 'red' } },
    '422 invalid_option',
    ['body.options.colour', 'body.options.objective'],
  ],
  [
    'a template tag',
    { command: 'plan', options: { objective: '{{x}}' } },
    '422 template_tag',
    ['body.options.objective'],
  ],
  [
    'an option named __proto__',
    { command: 'plan', options: JSON.parse('{"__proto__":"x"}') },
    '400 invalid_request',
    ['body.options (a key)'],
  ],
  [
    'a task of an unsupported stage',
    { codexTask: { ...task, stage: 'CODEX_TASK_STAGE_REVIEW' } },
    '400 unsupported_stage',
    ['body.codexTask.stage'],
  ],
  ['a task without a delivery id', { codexTask: taskOf({}) }, '400 missing_delivery_id', ['body.codexTask.deliveryId']],
  [
    'a task with an unknown field',
    { codexTask: { ...task, colour: 1 } },
    '400 invalid_payload',
    ['body.codexTask.colour'],
  ],
  [
    'a task with a field of the wrong type',
    { codexTask: { ...task, iteration: 'x' } },
    '400 invalid_payload',
    ['body.codexTask.iteration'],
  ],
  [
    'a task with a template tag',
    { codexTask: { ...task, head: '{{x}}' } },
    '422 template_tag',
    ['body.codexTask.head'],
  ],
];

test.each(REFUSED)(
  '%s is rejected with the names of the fields, and nothing is recorded',
  async (_what, body, outcome, fields) => {
    const facteur = await start();
    const before = await wholeLedger(db);
    const answer = await submit(facteur, body);
    expect(`${answer.status} ${answer.body.code}`).toBe(outcome);
    expect(answer.body.errors.map(({ field }: { field: string }) => field)).toEqual(fields);
    expect(await wholeLedger(db)).toBe(before);
  },
);

test('an answer lists at most 20 errors and counts the others', async () => {
  const facteur = await start();
  const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`key${index}`, '']));
  for (const body of [
    { ...PLAN, ...many },
    { command: 'plan', options: many },
  ]) {
    const answer = await submit(facteur, body);
    expect([400, 422]).toContain(answer.status);
    expect(answer.body.errors).toHaveLength(20);
    expect(answer.body.detail).toMatch(/; and (4980|4981) more$/);
  }
});
