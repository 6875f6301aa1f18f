import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fromJson, toBinary } from '@bufbuild/protobuf';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CodexTaskSchema } from '../../src/proto/proompteng/froussard/v1/codex_task_pb.ts';
import { openStack, type Stack } from './stack.ts';

const SAMPLE = JSON.parse(readFileSync(new URL('../../examples/codex-task.json', import.meta.url), 'utf8'));
/** A new stack may have to unpack images and create its schema. */
const READY_MS = 60_000;

let stack: Stack;
let db: Client;

beforeAll(async () => {
  stack = await openStack(process.env);
  db = new Client({ connectionString: stack.dsn });
  await db.connect();
});

afterAll(async () => {
  await db.end();
  await stack.close();
});

describe('a Codex task', () => {
  const deliveryId = `e2e-${randomUUID()}`;
  const payload = toBinary(CodexTaskSchema, fromJson(CodexTaskSchema, { ...SAMPLE, deliveryId }));

  test('finds a ready facteur', { timeout: READY_MS + 10_000 }, async () => {
    await expect.poll(() => ready(stack.baseUrl), { timeout: READY_MS, interval: 250 }).toBe(200);
    expect(await (await fetch(stack.baseUrl)).json()).toMatchObject({ service: 'facteur', status: 'ok' });
  });

  test('is recorded once, even if it is sent twice', async () => {
    const first = await post(payload);
    expect(first).toMatchObject({ status: 202, body: { stage: 'implementation', duplicate: false } });
    expect(first.body).toMatchObject({
      namespace: expect.stringMatching(/./),
      workflowName: expect.stringMatching(/^github-codex-implementation-/),
    });
    // RFC 3339 in UTC, in whole seconds, and close to now.
    expect(first.body['submittedAt']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(Math.abs(Date.now() - Date.parse(String(first.body['submittedAt'])))).toBeLessThan(5 * 60_000);
    const kept = await rows(deliveryId);
    expect(kept).toHaveLength(1);

    const { stage, namespace, workflowName, submittedAt } = first.body;
    expect(await post(payload)).toMatchObject({
      status: 202,
      body: { duplicate: true, stage, namespace, workflowName, submittedAt },
    });
    expect(await rows(deliveryId)).toEqual(kept);
  });

  test('is recorded as an idea, a task and a run with its contents', async () => {
    const [run] = await rows(deliveryId);
    expect(run).toMatchObject({
      source_type: 'github_issue',
      source_ref: `${SAMPLE.repository}#${SAMPLE.issueNumber}`,
      payload: { stage: 'implementation', prompt: SAMPLE.prompt, deliveryId },
      stage: 'implementation',
      metadata: { deliveryId },
    });
  });

  test('without a delivery id is refused, and leaves no row', async () => {
    const nameless = toBinary(CodexTaskSchema, fromJson(CodexTaskSchema, { ...SAMPLE, deliveryId: '' }));
    expect(await post(nameless)).toMatchObject({ status: 400, body: { error: 'missing delivery_id' } });
    expect(await rows('')).toEqual([]);
  });
});

async function ready(baseUrl: string): Promise<number | string> {
  try {
    return (await fetch(`${baseUrl}/readyz`)).status;
  } catch (error) {
    return String(error);
  }
}

async function post(body: Uint8Array<ArrayBuffer>): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${stack.baseUrl}/codex/tasks`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-protobuf' },
    body,
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function rows(deliveryId: string): Promise<Record<string, unknown>[]> {
  const { rows: found } = await db.query(
    `SELECT runs.id AS run_id, tasks.id AS task_id, ideas.id AS idea_id, ideas.source_type, ideas.source_ref, ideas.payload,
            tasks.stage, runs.metadata
       FROM codex_kb.task_runs AS runs
       JOIN codex_kb.tasks AS tasks ON tasks.id = runs.task_id
       JOIN codex_kb.ideas AS ideas ON ideas.id = tasks.idea_id
      WHERE runs.delivery_id = $1`,
    [deliveryId],
  );
  return found;
}
