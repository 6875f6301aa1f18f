import { expect } from 'vitest';
import type { ApiDeps } from '../../src/entry/api/deps.ts';
import type { ApiRoute } from '../../src/entry/api/route.ts';
import { APPROVAL_PARAMS, A_REFLECTION } from '../../src/entry/api/examples.ts';
import { ANNOTATIONS } from '../../src/domain/workflow-plan.ts';
import { API_ROUTES } from '../../src/entry/api/routes.ts';
import { openApproval } from '../support/approvals.ts';
import { callApi, type ApiAnswer, type ApiCall } from '../support/api.ts';
import { startFacteur } from '../support/facteur.ts';
import { event } from '../support/messages.ts';
import { forceState } from '../support/runs.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Each route gives every answer that it documents as its own. `callApi` checks each answer against the document.

type Route = ApiRoute<ApiDeps>;

/** A facteur with one of everything. `ids` are keyed by the names of path parameters. */
interface World {
  readonly ids: Readonly<Record<string, string>>;
  readonly call: (request: string, call?: ApiCall) => Promise<ApiAnswer>;
  /** Sends the example of a route with the ids of this world. */
  readonly example: (operationId: string, call?: ApiCall) => Promise<ApiAnswer>;
}

const routeOf = (operationId: string): Route => {
  const route = API_ROUTES.find((one) => one.operationId === operationId);
  if (route === undefined) {
    throw new Error(`there is no route ${operationId}`);
  }
  return route;
};

async function startWorld(): Promise<World> {
  const env = {
    FACTEUR_ROLE_MAP: '{"review": ["123456789012345678"]}',
    FACTEUR_KNOWLEDGE_REFRESH_WORKFLOW_TEMPLATE: 'plan',
  };
  const facteur = await startFacteur({ db, env });
  const call: World['call'] = (request, given) => callApi(facteur.url, request, given);
  const { runId } = (await facteur.send(event({ interactionId: 'd1' }))).body;
  await facteur.send(event({ interactionId: 'd2', command: 'review' }), {
    'ce-id': '7',
    'ce-source': 'kafka',
    'ce-type': 'record',
    'ce-specversion': '1.0',
  });
  const letterId = (await call('GET /v1/dead-letters')).body.deadLetters[0].id;
  const { ideaId } = (await call('POST /v1/ideas', { body: { sourceType: 'test', sourceRef: 'r' } })).body;
  const task = async (stage: string): Promise<string> =>
    (await call(`POST /v1/ideas/${ideaId}/tasks`, { body: { stage } })).body.taskId;
  const reflection = await call(`PUT /v1/runs/${runId}/reflections/lesson`, { body: { content: 'Read first.' } });
  const { reflectionId } = reflection.body;
  const [taskId, dependsOnTaskId] = [await task('one'), await task('two')];
  const ids = { runId, letterId, ideaId, taskId, dependsOnTaskId, reflectionId };
  const example: World['example'] = (operationId, given) => call(...requestOf(routeOf(operationId), ids, given));
  return { ids, call, example };
}

function requestOf({ method, path, example }: Route, ids: World['ids'], given: ApiCall = {}): [string, ApiCall] {
  const where = path.replaceAll(/\{(\w+)\}/g, (_all, name: string) => ids[name] ?? example.params?.[name] ?? '');
  const query = new URLSearchParams(example.query).toString();
  const headers = example.idempotencyKey === undefined ? {} : { 'idempotency-key': example.idempotencyKey };
  const body = example.body === undefined ? {} : { body: withIds(example.body, ids) };
  return [`${method} ${where}${query === '' ? '' : `?${query}`}`, { headers, ...body, ...given }];
}

/** The body of an example, with the id of this world's reflection. */
function withIds(body: object, { reflectionId = '' }: World['ids']): object {
  return JSON.parse(JSON.stringify(body).replaceAll(A_REFLECTION.reflectionId, reflectionId)) as object;
}

type Scenario = (world: World) => Promise<unknown>;

/** Fills a table with rows that belong to the run. */
const filled =
  (text: string): Scenario =>
  ({ ids }) =>
    db.query({ text, values: [ids['runId']] });
const ARTIFACTS = filled(`INSERT INTO codex_kb.artifacts (task_run_id, artifact_type, uri)
  SELECT $1::uuid, 'x', 's3://full/' || n FROM generate_series(1, 200) n`);
const CHECKS = filled(`INSERT INTO codex_kb.policy_checks (idea_id, task_run_id, policy_key, status)
  SELECT t.idea_id, r.id, 'x', 'pass' FROM codex_kb.task_runs r JOIN codex_kb.tasks t ON t.id = r.task_id,
    generate_series(1, 200) WHERE r.id = $1::uuid`);
const EVENTS = filled(`INSERT INTO codex_kb.run_events (task_run_id, event_type)
  SELECT $1::uuid, 'x' FROM generate_series(1, 1000)`);
const REFLECTIONS = filled(`INSERT INTO codex_kb.reflections (task_run_id, reflection_type, content)
  SELECT $1::uuid, 'type_' || n, 'x' FROM generate_series(1, 20) n`);

const sent =
  (operationId: string, call?: ApiCall): Scenario =>
  ({ example }) =>
    example(operationId, call);

/** The run received a reflection that is not trusted yet: here, another one of its own. */
const UNTRUSTED_SOURCE = filled(`WITH retrieved AS (
    INSERT INTO facteur.retrievals (run_id, strategy, repository, asked_by) SELECT $1::uuid, 'retrieve', '', '' RETURNING run_id
  ), source AS (
    INSERT INTO codex_kb.reflections (task_run_id, reflection_type, content) SELECT run_id, 'source', 'x' FROM retrieved RETURNING id
  ) INSERT INTO facteur.reflection_uses (run_id, reflection_id, place) SELECT run_id, id, 1 FROM retrieved, source`);

/** The command of the run comes from a WorkflowTemplate that no longer exists. */
const OF_A_LOST_TEMPLATE = filled(`UPDATE facteur.runs SET plan = jsonb_set(plan::jsonb,
  '{annotations,${ANNOTATIONS.templateUid}}', '"gone"')::json WHERE run_id = $1`);

const failed: Scenario = ({ ids }) => forceState(db, ids['runId'] ?? '', 'failed');
const waits: Scenario = ({ ids }) => openApproval(db, ids['runId'] ?? '', APPROVAL_PARAMS.key);
const permitted: Scenario = () =>
  db.query({ text: `UPDATE facteur.dead_letters SET body = convert_to('{"command":"plan"}', 'UTF8')` });

/** The setup that makes a route answer its example with a status, if the example alone is not enough. */
const BEFORE: Readonly<Record<string, readonly Scenario[]>> = {
  'submitRun 200': [sent('submitRun')],
  'retryRun 202': [failed],
  'retryRun 409': [],
  'retryRun 422': [failed, OF_A_LOST_TEMPLATE],
  'approve 202': [waits],
  'approve 409': [waits, sent('reject')],
  'approve 422': [waits],
  'reject 202': [waits],
  'reject 409': [waits, sent('reject')],
  'addRunEvent 200': [sent('addRunEvent')],
  'addRunEvent 422': [EVENTS],
  'addArtifact 200': [sent('addArtifact')],
  'addArtifact 409': [sent('addArtifact', { body: { type: 'other', uri: 's3://builds/42/change.diff' } })],
  'addArtifact 422': [ARTIFACTS],
  'saveReflection 200': [sent('saveReflection')],
  'saveReflection 422': [REFLECTIONS],
  'trustReflections 409': [UNTRUSTED_SOURCE],
  'addSsfoPair 200': [sent('addSsfoPair')],
  'addSsfoPair 409': [
    sent('addSsfoPair', { body: { retrievedAnswer: 'x', nonRetrievedAnswer: 'y', promptContext: 'z' } }),
  ],
  'addSsfoPair 422': [ARTIFACTS],
  'putRetrievalLog 200': [sent('putRetrievalLog')],
  'putRetrievalLog 409': [sent('putRetrievalLog', { body: { strategy: 'holdout' } })],
  'putRetrievalLog 422': [ARTIFACTS],
  'addPolicyCheck 200': [sent('addPolicyCheck')],
  'addPolicyCheck 422': [CHECKS],
  'recordRouterDecision 200': [sent('recordRouterDecision')],
  'recordRouterDecision 422': [CHECKS],
  'recordAnomalyResult 200': [sent('recordAnomalyResult')],
  'recordAnomalyResult 422': [CHECKS],
  'recordPromotionGate 200': [sent('recordPromotionGate')],
  'scheduleEmbeddingRefresh 200': [sent('scheduleEmbeddingRefresh')],
  'addIdea 200': [sent('addIdea')],
  'addTask 200': [sent('addTask')],
  'addTask 422': [
    ({ ids }) =>
      db.query({
        text: `INSERT INTO codex_kb.tasks (idea_id, stage, state) SELECT $1::uuid, 's' || n, 'x' FROM generate_series(1, 98) n`,
        values: [ids['ideaId']],
      }),
  ],
  'putDependency 200': [sent('putDependency')],
  'putDependency 409': [
    ({ ids, call }) => call(`PUT /v1/tasks/${ids['dependsOnTaskId']}/dependencies/${ids['taskId']}`, { body: {} }),
  ],
  'putDependency 422': [
    ({ ids }) =>
      db.query({
        text: `WITH made AS (
            INSERT INTO codex_kb.tasks (idea_id, stage, state) SELECT $1::uuid, 's' || n, 'x' FROM generate_series(1, 100) n RETURNING id
          ) INSERT INTO codex_kb.task_dependencies (task_id, depends_on_task_id) SELECT $2::uuid, id FROM made`,
        values: [ids['ideaId'], ids['taskId']],
      }),
  ],
  'deleteDependency 204': [sent('putDependency')],
  'replayDeadLetter 200': [permitted],
  'replayDeadLetter 409': [sent('dropDeadLetter')],
  'replayDeadLetter 422': [
    () =>
      db.query({
        text: `UPDATE facteur.dead_letters SET body = convert_to('{"command":"plan","options":{"a":"{{"}}', 'UTF8')`,
      }),
  ],
  'dropDeadLetter 409': [permitted, sent('replayDeadLetter')],
};

/** The request to send if the example cannot be answered with this status. */
const OTHERWISE: Readonly<Record<string, ApiCall>> = {
  'approve 422': { body: { outputs: {} } },
  'submitRun 403': { body: { command: 'review', options: { project: 'p', artifact: 'a' } } },
  'submitRun 422': { body: { command: 'deploy' } },
};

/** Statuses that any route may answer have their own tests. */
const GENERIC = new Set([400, 401, 404, 413, 415, 429, 503]);
const OWN = API_ROUTES.flatMap((route) =>
  Object.keys(route.answers)
    .map(Number)
    .filter((status) => !GENERIC.has(status))
    .map((status) => [`${route.operationId} ${status}`, route, status] as const),
);

test.each(OWN)('%s', async (name, route, status) => {
  const world = await startWorld();
  for (const scenario of BEFORE[name] ?? []) {
    await scenario(world);
  }
  expect(await world.example(route.operationId, OTHERWISE[name])).toMatchObject({ status });
});

test('every scenario belongs to a documented answer', () => {
  const documented: readonly string[] = OWN.map(([name]) => name);
  expect([...Object.keys(BEFORE), ...Object.keys(OTHERWISE)].filter((name) => !documented.includes(name))).toEqual([]);
});
