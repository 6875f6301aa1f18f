import { expect } from 'vitest';
import { callApi, type ApiCall } from '../support/api.ts';
import { NAMESPACE, type Json } from '../support/cluster.ts';
import { startEndpoint, type EmbeddingsRequest } from '../support/embeddings.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { expectRun } from '../support/ledger.ts';
import { codexTask } from '../support/messages.ts';
import { seedReflections } from '../support/reflections.ts';
import { startTestTelemetry } from '../support/telemetry.ts';
import { db, test } from '../support/ledger-fixture.ts';

const ENV = {
  FACTEUR_SERVER_PUBLIC_URL: 'http://facteur.example',
  FACTEUR_SERVER_RUN_TOKEN_KEYS: JSON.stringify([{ id: 'k1', secret: 'a-key-of-at-least-thirty-two-bytes' }]),
  FACTEUR_SERVER_API_TOKENS: 'operator-token',
};
const OPERATOR = { token: 'operator-token' };

/** A Codex run of a repository, with the token that its workflow received. */
async function runIn(facteur: Facteur, repository: string, deliveryId: string): Promise<{ id: string; token: string }> {
  const { body } = await facteur.send(codexTask({ deliveryId, repository }));
  await expectRun(db, deliveryId, 'submitted');
  const workflow = facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName).object as Json;
  const token = workflow.spec.arguments.parameters.find(({ name }: Json) => name === 'facteur_token').value;
  return { id: body.runId, token };
}

const search = (facteur: Facteur, body: Json, call: ApiCall = OPERATOR) =>
  callApi(facteur.url, 'POST /v1/reflections/search', { ...call, body });
const contents = ({ body }: { readonly body: Json }): string[] => body.reflections.map(({ content }: Json) => content);

test('a saved reflection is embedded, and found by words, inflected forms and filters', async () => {
  const facteur = await startFacteur({ db, env: ENV });
  const { id, token } = await runIn(facteur, 'Acme/Rocket', 'gh-1');
  const save = (type: string, content: string) =>
    callApi(facteur.url, `PUT /v1/runs/${id}/reflections/${type}`, { token, body: { content } });
  expect(await save('failure_postmortem', 'The migration needs pgvector 0.8.')).toMatchObject({
    status: 201,
    body: { embeddingVersion: 'facteur-ngrams-1' },
  });
  await save('critique', 'The plan forgot the documentation.');
  const found = await search(facteur, { text: 'migrations and pgvectors', repository: 'acme/rocket' });
  expect(found).toMatchObject({
    status: 200,
    body: {
      embeddingVersion: 'facteur-ngrams-1',
      reflections: [
        {
          runId: id,
          type: 'failure_postmortem',
          repository: 'acme/rocket',
          state: 'quarantined',
          rank: 1,
          vectorRank: 1,
        },
        { type: 'critique', wordRank: null },
      ],
    },
  });
  expect(contents(await search(facteur, { text: 'migration', types: ['critique'] }))).toHaveLength(1);
  expect(contents(await search(facteur, { text: 'migration', excludeRuns: [id] }))).toEqual([]);
  expect(contents(await search(facteur, { text: 'migration', states: ['trusted'] }))).toEqual([]);
  const [{ reflectionId }] = found.body.reflections;
  expect(await callApi(facteur.url, `GET /v1/reflections/${reflectionId}`, OPERATOR)).toMatchObject({
    status: 200,
    body: { reflectionId, state: 'quarantined', reason: '', embeddingVersion: 'facteur-ngrams-1' },
  });
  expect(await callApi(facteur.url, `GET /v1/reflections/${id}`, OPERATOR)).toMatchObject({
    status: 404,
    body: { code: 'reflection_not_found' },
  });
});

test('a run finds only trusted reflections of its own repository, and gets a 403 if it asks for others', async () => {
  const facteur = await startFacteur({ db, env: ENV });
  await seedReflections(db, [
    { content: 'linter trusted here', repository: 'acme/rocket', state: 'trusted' },
    { content: 'linter quarantined here', repository: 'acme/rocket' },
    { content: 'linter retired here', repository: 'acme/rocket', state: 'retired' },
    { content: 'linter trusted elsewhere', repository: 'other/thing', state: 'trusted' },
    { content: 'linter trusted nowhere', repository: '', state: 'trusted' },
  ]);
  const { token } = await runIn(facteur, 'Acme/Rocket', 'gh-1');
  const asRun = (body: Json) => search(facteur, { text: 'linter', ...body }, { token });
  expect(contents(await asRun({}))).toEqual(['linter trusted here']);
  expect(contents(await asRun({ repository: 'ACME/rocket', states: ['trusted'] }))).toEqual(['linter trusted here']);
  for (const body of [{ repository: 'other/thing' }, { states: ['trusted', 'quarantined'] }]) {
    expect(await asRun(body)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
  }
  expect(contents(await search(facteur, { text: 'linter', limit: 50 }))).toHaveLength(5);
  const [known] = (await search(facteur, { text: 'linter' })).body.reflections;
  expect(await callApi(facteur.url, `GET /v1/reflections/${known.reflectionId}`, { token })).toMatchObject({
    status: 403,
  });
});

test('GET on the search path is a 405, not a lookup by id', async () => {
  const facteur = await startFacteur({ db, env: ENV });
  const answer = await fetch(`${facteur.url}/v1/reflections/search?x=1`, {
    headers: { authorization: `Bearer ${OPERATOR.token}` },
  });
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
});

test('a run without a repository finds nothing', async () => {
  const facteur = await startFacteur({ db, env: ENV });
  await seedReflections(db, [{ content: 'linter', repository: '', state: 'trusted' }]);
  const { body } = await facteur.send({
    path: '/events',
    contentType: 'application/json',
    body: JSON.stringify({ command: 'plan', interactionId: 'd1', options: { objective: 'x' } }),
  });
  await expectRun(db, 'd1', 'submitted');
  const workflow = facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName).object as Json;
  const token = workflow.spec.arguments.parameters.find(({ name }: Json) => name === 'facteur_token').value;
  expect(contents(await search(facteur, { text: 'linter' }, { token }))).toEqual([]);
});

const VECTOR = Array.from({ length: 1536 }, (_, place) => (place === 0 ? 1 : 0));

test.each([
  ['neither a text nor an embedding', {}, 'body.text'],
  ['an empty text', { text: '' }, 'body.text'],
  ['an embedding without its version', { embedding: VECTOR }, 'body.embedding'],
  ['a short embedding', { embedding: [1], embeddingVersion: 'v' }, 'body.embedding'],
  ['a reserved version', { embedding: VECTOR, embeddingVersion: 'facteur-ngrams-1' }, 'body.embeddingVersion'],
  ['an invalid repository', { text: 'x', repository: 'rocket' }, 'body.repository'],
  ['a limit that is too high', { text: 'x', limit: 51 }, 'body.limit'],
  ['an unknown state', { text: 'x', states: ['good'] }, 'body.states.0'],
])('a search with %s is rejected with the name of the field', async (_what, body, field) => {
  const facteur = await startFacteur({ db, env: ENV });
  expect(await search(facteur, body)).toMatchObject({ status: 400, body: { errors: [{ field }] } });
});

const embeddingOf = ({ body }: EmbeddingsRequest): Json => ({
  data: body.input.map((text: string, index: number) => ({ index, embedding: [text.includes('rocket') ? 1 : 0, 1] })),
});

test('the endpoint embeds saved texts and searches; while it is down, both fall back to words', async () => {
  let isDown = false;
  const endpoint = await startEndpoint((request) =>
    isDown ? { status: 500, body: {} } : { body: embeddingOf(request) },
  );
  const env = { ...ENV, FACTEUR_EMBEDDINGS_URL: endpoint.url, FACTEUR_EMBEDDINGS_MODEL: 'm' };
  const facteur = await startFacteur({ db, env });
  const { id, token } = await runIn(facteur, 'acme/rocket', 'gh-1');
  const save = (type: string, body: Json) =>
    callApi(facteur.url, `PUT /v1/runs/${id}/reflections/${type}`, { token, body });
  expect(await save('a', { content: 'A rocket.' })).toMatchObject({ status: 201, body: { embeddingVersion: 'm@2' } });
  const own = { content: 'Brought.', embedding: VECTOR, embeddingVersion: 'mine' };
  expect(await save('b', own)).toMatchObject({ status: 201, body: { embeddingVersion: 'mine' } });
  // An embedding that claims to be of the endpoint's model is replaced by the endpoint's own.
  const forged = { content: 'A forgery.', embedding: [1, 1, ...VECTOR.slice(2).fill(0)], embeddingVersion: 'm@2' };
  expect(await save('d', forged)).toMatchObject({ status: 201, body: { embeddingVersion: 'm@2' } });
  const similar = [
    { type: 'a', similarity: expect.closeTo(1, 5) },
    { type: 'd', similarity: expect.closeTo(Math.SQRT1_2, 5) },
  ];
  expect(await search(facteur, { text: 'rocket' })).toMatchObject({
    body: { embeddingVersion: 'm@2', reflections: similar },
  });
  const mine = { embedding: VECTOR, embeddingVersion: 'mine' };
  expect(await search(facteur, mine)).toMatchObject({ body: { reflections: [{ type: 'b', similarity: 1 }] } });
  isDown = true;
  expect(await save('c', { content: 'Another rocket.' })).toMatchObject({
    status: 201,
    body: { embeddingVersion: null },
  });
  const found = await search(facteur, { text: 'rockets' });
  expect(found.body.embeddingVersion).toBeNull();
  expect(contents(found).toSorted()).toEqual(['A rocket.', 'Another rocket.']);
  // Saving the same text again keeps its embedding.
  expect(await save('a', { content: 'A rocket.' })).toMatchObject({ status: 200, body: { embeddingVersion: 'm@2' } });
});

test('saves and searches are counted and traced, and a workflow cannot create new series', async () => {
  const telemetry = await startTestTelemetry();
  const facteur = await startFacteur({ db, env: ENV });
  const { id, token } = await runIn(facteur, 'acme/rocket', 'gh-1');
  for (const type of ['critique', 'invented']) {
    await callApi(facteur.url, `PUT /v1/runs/${id}/reflections/${type}`, { token, body: { content: 'A rocket.' } });
  }
  await search(facteur, { text: 'rocket' });
  const text = await telemetry.scrape();
  expect(text).toContain('facteur_reflections_saved_total{reflection_type="critique"} 1');
  expect(text).toContain('facteur_reflections_saved_total{reflection_type="(other)"} 1');
  expect(text).not.toContain('invented');
  expect(text).toMatch(/^facteur_reflections_retrieved_total(\{\})? 2$/m);
  await telemetry.end();
  const names = telemetry.receiver.spans().map(({ name }) => name);
  expect(names.filter((name) => name.startsWith('knowledge.')).toSorted()).toEqual([
    'knowledge.fetch_reflections',
    'knowledge.save_reflection',
    'knowledge.save_reflection',
  ]);
});
