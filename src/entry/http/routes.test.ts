import { create, toBinary } from '@bufbuild/protobuf';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDoor, type OpenDoor, RECEIPT } from '../../../test/support/http-door.ts';
import { FacteurError } from '../../base/errors.ts';
import { Refusal, type RefusalKind } from '../../domain/refusal.ts';
import { RUN_STATES } from '../../domain/run-state.ts';
import { CommandEventSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';
import { CodexTaskSchema, CodexTaskStage } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';

let door: OpenDoor;
beforeEach(async () => {
  door = await openDoor();
});
afterEach(() => door.close());

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

async function request(path: string, init: RequestInit = {}, at = door): Promise<Reply> {
  const response = await fetch(at.url + path, init);
  const text = await response.text();
  return { status: response.status, body: text === '' ? '' : JSON.parse(text), headers: response.headers };
}

const JSON_TYPE = { 'content-type': 'application/json' };
const PROTOBUF_TYPE = { 'content-type': 'application/x-protobuf' };

function postJson(path: string, value: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  return request(path, { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(value) });
}

const TASK = {
  stage: 'CODEX_TASK_STAGE_IMPLEMENTATION',
  deliveryId: 'delivery-1',
  repository: 'o/r',
  issueNumber: '7',
};

describe('probes and root', () => {
  test('GET /healthz', async () => {
    expect(await request('/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  });

  test('GET /readyz: ready, without checks, while all is well', async () => {
    expect(await request('/readyz')).toMatchObject({ status: 200, body: { status: 'ready' } });
  });

  test('GET /readyz: shows a failed optional dependency, and stays ready', async () => {
    await using other = await opened({ readiness: () => ({ ready: true, checks: { postgres: 'ok', redis: 'down' } }) });
    expect((await request('/readyz', {}, other.door)).body).toEqual({
      status: 'ready',
      checks: { postgres: 'ok', redis: 'down' },
    });
  });

  test('GET /readyz: unready', async () => {
    await using other = await opened({ readiness: async () => ({ ready: false, checks: { migrations: 'running' } }) });
    expect(await request('/readyz', {}, other.door)).toMatchObject({
      status: 503,
      body: { status: 'unready', checks: { migrations: 'running' } },
    });
  });

  test.each(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s /', async (method) => {
    const body = { service: 'facteur', status: 'ok', version: '1.2.3', commit: 'abcdef0' };
    expect(await request('/', { method })).toMatchObject({ status: 200, body });
  });

  test('every answer is plain JSON that is neither cached nor sniffed', async () => {
    const answers = [await request('/'), await request('/nowhere'), await request('/events', { method: 'POST' })];
    for (const { headers } of [...answers, await request('/%zz')]) {
      expect(headers.get('content-type')).toBe('application/json');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
    }
  });
});

describe('paths and methods', () => {
  test.each(['/nowhere', '/events//', '//events', '/codex', '/healthz/x', '/METRICS', '/v2'])(
    '%s is not found',
    async (path) => {
      expect(await request(path)).toMatchObject({ status: 404, body: { error: 'not found' } });
    },
  );

  test.each([
    ['GET', '/events', 'POST'],
    ['PUT', '/codex/tasks', 'POST'],
    ['OPTIONS', '/events?x=1', 'POST'],
    ['POST', '/healthz', 'GET, HEAD'],
    ['DELETE', '/readyz', 'GET, HEAD'],
  ])('%s %s is not allowed', async (method, path, allow) => {
    const { status, body, headers } = await request(path, { method });
    expect({ status, body }).toEqual({ status: 405, body: { error: 'method not allowed' } });
    expect(headers.get('allow')?.split(', ').toSorted().join(', ')).toBe(allow);
  });

  test('a URL that cannot be decoded is 400', async () => {
    expect(await request('/%zz')).toMatchObject({ status: 400, body: { error: 'bad request' } });
  });
});

describe('POST /events', () => {
  test('accepts protobuf, as Knative sends it', async () => {
    const event = create(CommandEventSchema, { command: 'plan', interactionId: 'i-1', options: { content: 'x' } });
    const body = Buffer.from(toBinary(CommandEventSchema, event));
    for (const headers of [PROTOBUF_TYPE, { 'content-type': 'application/octet-stream' }, {}]) {
      expect(await request('/events', { method: 'POST', headers, body })).toMatchObject({
        status: 202,
        body: {
          workflowName: RECEIPT.workflowName,
          namespace: RECEIPT.namespace,
          correlationId: RECEIPT.correlationId,
          runId: RECEIPT.runId,
          deliveryId: RECEIPT.deliveryId,
          duplicate: false,
          status: 'submitted',
        },
      });
    }
    expect(door.dispatch.commands).toHaveLength(3);
    expect(door.dispatch.commands[0]).toMatchObject({ door: 'http', name: 'plan', deliveryId: 'i-1' });
    expect(door.dispatch.options[0]).toEqual({ awaitSubmissionMs: 2_000 });
  });

  test('accepts JSON, with the delivery id and the trace of the CloudEvent', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const headers = { 'ce-source': '/kafka', 'ce-id': '7', traceparent };
    expect((await postJson('/events', { command: 'plan' }, headers)).status).toBe(202);
    expect(door.dispatch.commands[0]).toMatchObject({ deliveryId: '/kafka|7', traceparent });
    expect(door.log.join('')).toContain('"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"');
  });

  test('a delivery without any id gets a fresh one each time', async () => {
    await postJson('/events', { command: 'plan' });
    await postJson('/events', { command: 'plan' });
    expect(door.dispatch.commands.map(({ deliveryId }) => deliveryId)).toEqual(['fresh-1', 'fresh-2']);
  });

  test.each([
    ['empty payload', ''],
    ['invalid payload', '{'],
    ['missing command', '{}'],
    ['missing command', '{"command":""}'],
  ])('400 %s for %j', async (error, body) => {
    const answer = await request('/events', { method: 'POST', headers: JSON_TYPE, body });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error });
    expect(door.dispatch.commands).toEqual([]);
  });

  test('400 invalid payload has details', async () => {
    const { body } = await postJson('/events', { command: 'plan', options: { x: 1 } });
    expect(body).toEqual({ error: 'invalid payload', details: 'options: has the wrong type' });
  });

  test('an empty content type counts as missing', async () => {
    const body = Buffer.from(toBinary(CommandEventSchema, create(CommandEventSchema, { command: 'plan' })));
    expect((await request('/events', { method: 'POST', headers: { 'content-type': '' }, body })).status).toBe(202);
  });

  test('an unexpected error of the dispatch is 500 without internals', async () => {
    door.dispatch.answer = () => Promise.reject(new Error('duplicate key in table x at host db.internal'));
    expect(await postJson('/events', { command: 'plan' })).toMatchObject({
      status: 500,
      body: { error: 'dispatch failed' },
    });
    expect(door.log.join('')).toContain('duplicate key in table x');
  });

  test('a typed error that is not retryable is 500 too', async () => {
    const failed = new FacteurError('postgres.failed', 'relation x', { retryable: false, details: 'relation x' });
    door.dispatch.answer = () => Promise.reject(failed);
    expect(await postJson('/events', { command: 'plan' })).toMatchObject({
      status: 500,
      body: { error: 'dispatch failed' },
    });
  });

  test('503 with Retry-After while the ledger is down', async () => {
    const down = new FacteurError('postgres.unavailable', 'connect ECONNREFUSED db.internal', { retryable: true });
    door.dispatch.answer = () => Promise.reject(down);
    const { status, body, headers } = await postJson('/events', { command: 'plan' });
    expect({ status, body }).toEqual({ status: 503, body: { error: 'dispatcher unavailable' } });
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  });
});

describe('POST /codex/tasks', () => {
  test('accepts protobuf', async () => {
    const task = create(CodexTaskSchema, { stage: CodexTaskStage.IMPLEMENTATION, deliveryId: 'd-1', issueNumber: 7n });
    const body = Buffer.from(toBinary(CodexTaskSchema, task));
    expect(await request('/codex/tasks', { method: 'POST', headers: PROTOBUF_TYPE, body })).toMatchObject({
      status: 202,
      body: {
        stage: 'implementation',
        namespace: RECEIPT.namespace,
        workflowName: RECEIPT.workflowName,
        submittedAt: '2026-02-03T04:05:06Z',
        duplicate: false,
        runId: RECEIPT.runId,
        status: 'submitted',
      },
    });
    expect(door.dispatch.deliveries[0]).toMatchObject({ door: 'http', deliveryId: 'd-1', task: { issueNumber: 7n } });
    expect(door.dispatch.options[0]).toEqual({ awaitSubmissionMs: 2_000 });
  });

  test('accepts JSON', async () => {
    expect((await postJson('/codex/tasks', TASK)).status).toBe(202);
    expect(door.dispatch.deliveries[0]?.task.repository).toBe('o/r');
  });

  test.each([
    [400, 'empty payload', ''],
    [400, 'invalid payload', 'x'],
    [400, 'unsupported codex stage', '{}'],
    [400, 'unsupported codex stage', '{"stage":"CODEX_TASK_STAGE_REVIEW","deliveryId":"d"}'],
    [400, 'missing delivery_id', '{"stage":"CODEX_TASK_STAGE_IMPLEMENTATION"}'],
    [400, 'missing delivery_id', '{"stage":2,"delivery_id":" \\t "}'],
  ])('%i %s for %j', async (status, error, body) => {
    const answer = await request('/codex/tasks', { method: 'POST', headers: JSON_TYPE, body });
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ error });
    expect(door.dispatch.deliveries).toEqual([]);
  });

  test('503 while the orchestrator is disabled, checked after the stage and before the delivery id', async () => {
    await using other = await opened({ codexEnabled: false });
    const send = (body: string) => request('/codex/tasks', { method: 'POST', headers: JSON_TYPE, body }, other.door);
    expect(await send('{"stage":2}')).toMatchObject({
      status: 503,
      body: { error: 'implementation orchestrator disabled' },
    });
    expect(await send('{"stage":3}')).toMatchObject({ status: 400, body: { error: 'unsupported codex stage' } });
    expect(await send('{')).toMatchObject({ status: 400, body: { error: 'invalid payload' } });
  });

  test('500 has its own error text, 503 has the common one', async () => {
    door.dispatch.answer = () => Promise.reject(new Error('boom'));
    expect(await postJson('/codex/tasks', TASK)).toMatchObject({
      status: 500,
      body: { error: 'implementation orchestrator failed' },
    });
    door.dispatch.answer = () => Promise.reject(new FacteurError('postgres.unavailable', 'down', { retryable: true }));
    const { status, body, headers } = await postJson('/codex/tasks', TASK);
    expect({ status, body }).toEqual({ status: 503, body: { error: 'dispatcher unavailable' } });
    expect(headers.get('retry-after')).not.toBeNull();
  });
});

describe('the answer for a run', () => {
  test.each(RUN_STATES.filter((state) => state !== 'refused'))('%s', async (state) => {
    door.dispatch.answer = async () => ({ ...RECEIPT, state, duplicate: true });
    const status = state === 'queued' || state === 'skipped' ? state : 'submitted';
    expect(await postJson('/events', { command: 'plan' })).toMatchObject({
      status: 202,
      body: { status, duplicate: true },
    });
    expect(await postJson('/codex/tasks', TASK)).toMatchObject({ status: 202, body: { status, duplicate: true } });
  });

  test('refused by the cluster: 422', async () => {
    door.dispatch.answer = async () => ({ ...RECEIPT, state: 'refused', reason: 'the template does not exist' });
    const { runId, deliveryId, workflowName, namespace } = RECEIPT;
    const why = { error: 'workflow refused', details: 'the template does not exist' };
    const body = { ...why, runId, deliveryId, workflowName, namespace, duplicate: false };
    expect(await postJson('/events', { command: 'plan' })).toMatchObject({ status: 422, body });
    expect(await postJson('/codex/tasks', TASK)).toMatchObject({ status: 422, body });
  });

  test.each<[RefusalKind, number, string]>([
    ['forbidden', 403, 'forbidden'],
    ['invalid_option', 422, 'invalid option'],
    ['template_tag', 422, 'template tag not allowed'],
    ['too_large', 422, 'workflow too large'],
    ['refused', 422, 'workflow refused'],
  ])('refused as %s: %i', async (kind, status, error) => {
    door.dispatch.answer = () => Promise.reject(new Refusal(kind, 'because'));
    expect(await postJson('/events', { command: 'plan' })).toMatchObject({
      status,
      body: { error, details: 'because' },
    });
  });
});

describe('media', () => {
  test.each(['/events', '/codex/tasks'])('%s: 415 for an unsupported type', async (path) => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'nonsense',
      ';',
      'application/json; charset=utf-16',
    ]) {
      const answer = await request(path, { method: 'POST', headers: { 'content-type': type }, body: 'x' });
      expect(answer).toMatchObject({ status: 415, body: { error: 'unsupported media type' } });
    }
  });

  test.each(['gzip', 'br', 'zstd', 'identity, gzip'])('415 for content encoding %s', async (encoding) => {
    const headers = { ...JSON_TYPE, 'content-encoding': encoding };
    expect((await request('/events', { method: 'POST', headers, body: '{"command":"plan"}' })).status).toBe(415);
  });

  test('checks the type first, then the size, then the rest', async () => {
    const body = 'x'.repeat(64 * 1024 + 1);
    const send = (type: string) => request('/events', { method: 'POST', headers: { 'content-type': type }, body });
    expect((await send('text/plain')).status).toBe(415);
    expect(await send('application/json')).toMatchObject({
      status: 413,
      body: { error: 'payload too large', details: 'the limit is 65536 bytes' },
    });
  });

  test('accepts a body of exactly the limit', async () => {
    const open = '{"command":"plan","x":"';
    const body = `${open}${'x'.repeat(64 * 1024 - open.length - 2)}"}`;
    expect((await request('/events', { method: 'POST', headers: JSON_TYPE, body })).status).toBe(202);
  });
});

async function opened(
  overrides: Parameters<typeof openDoor>[0],
): Promise<AsyncDisposable & { readonly door: OpenDoor }> {
  const other = await openDoor(overrides);
  return { door: other, [Symbol.asyncDispose]: () => other.close() };
}
