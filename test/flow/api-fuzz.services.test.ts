import { expect } from 'vitest';
import { apiDocument } from '../../src/entry/api/document.ts';
import { API_ROUTES } from '../../src/entry/api/routes.ts';
import { callApi } from '../support/api.ts';
import { startFacteur } from '../support/facteur.ts';
import { event } from '../support/messages.ts';
import { fuzz } from '../support/schemathesis.ts';
import { db, test } from '../support/ledger-fixture.ts';

const TOKEN = 'admin-token';
const ENV = {
  FACTEUR_SERVER_API_TOKENS: TOKEN,
  FACTEUR_ROLE_MAP: '{"review": ["123456789012345678"]}',
  FACTEUR_KNOWLEDGE_REFRESH_WORKFLOW_TEMPLATE: 'plan',
};
const CLOUD_EVENT = { 'ce-id': '7', 'ce-source': 'kafka', 'ce-type': 'record', 'ce-specversion': '1.0' };

/** Enough for about 2,000 requests on a busy machine. */
const PATIENCE_MS = 900_000;

test(
  '1,000 requests generated from the OpenAPI document: no 5xx, and every answer matches the document',
  { timeout: PATIENCE_MS },
  async () => {
    const facteur = await startFacteur({ db, env: ENV });
    const call = (request: string, body?: object) => callApi(facteur.url, request, { token: TOKEN, body });
    // No answer contains these ids: without them, the fuzzer would ask for unknown ones again and again.
    await facteur.send(event({ interactionId: 'd1', command: 'review' }), CLOUD_EVENT);
    const letterId = (await call('GET /v1/dead-letters')).body.deadLetters[0].id;
    const { ideaId } = (await call('POST /v1/ideas', { sourceType: 'test', sourceRef: 'r' })).body;
    const { taskId } = (await call(`POST /v1/ideas/${ideaId}/tasks`, { stage: 'one' })).body;
    const { taskId: dependsOnTaskId } = (await call(`POST /v1/ideas/${ideaId}/tasks`, { stage: 'two' })).body;
    const ids = Object.entries({ letterId, taskId, dependsOnTaskId }).map(([name, id]) => `"path.${name}" = "${id}"`);
    const result = await fuzz(
      apiDocument(API_ROUTES),
      [
        ...['--url', facteur.url, '--header', `Authorization: Bearer ${TOKEN}`, '--request-timeout', '60'],
        ...['--phases', 'examples,coverage,fuzzing', '--max-examples', '10', '--continue-on-failure'],
        // The same requests on every machine.
        ...['--seed', '1'],
        // Its answer does not end until the client disconnects.
        ...['--exclude-operation-id', 'streamRuns'],
        // All checks but one, which expects every request that fits the schemas to be accepted. Schemas cannot say that a
        // cursor must come from an earlier answer, that Argo would evaluate a value, or what a command requires.
        ...['--checks', 'all', '--exclude-checks', 'positive_data_acceptance'],
      ],
      `[parameters]\n${ids.join('\n')}\n`,
    );
    expect(result.code === 0 ? '' : result.output.slice(-20_000)).toBe('');
    expect(result.cases).toBeGreaterThan(1000);
    expect((await call('GET /v1/run-counts')).body.counts).not.toMatchObject({ submitted: 0 });
  },
);
