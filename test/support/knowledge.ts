import { expect } from 'vitest';
import type { Queryable } from '../../src/clients/postgres/database.ts';
import type { Environment } from '../../src/config/environment.ts';
import type { Composition } from '../../src/knowledge/compose.ts';
import { callApi } from './api.ts';
import { NAMESPACE, type Json } from './cluster.ts';
import type { Facteur } from './facteur.ts';
import type { RunState } from '../../src/domain/run-state.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import { recordRetrieval } from '../../src/ledger/retrievals.ts';
import { expectRun } from './ledger.ts';
import { codexTask } from './messages.ts';
import { forceState, newRun } from './runs.ts';

/** Every eligible run gets reflections, and those of Codex tasks in `acme/rocket` are trusted without review. */
export const LEARNING: Environment = {
  FACTEUR_KNOWLEDGE_ENABLED: 'true',
  FACTEUR_KNOWLEDGE_HOLDOUT: '0',
  FACTEUR_KNOWLEDGE_TRUSTED_REPOSITORIES: 'acme/rocket',
  FACTEUR_SERVER_PUBLIC_URL: 'http://facteur.example',
  FACTEUR_SERVER_RUN_TOKEN_KEYS: JSON.stringify([{ id: 'k1', secret: 'a-key-of-at-least-thirty-two-bytes' }]),
};

/** A run with a created workflow, and what the workflow received. */
export interface CreatedRun {
  readonly runId: string;
  readonly workflowName: string;
  readonly token: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly received: Composition | undefined;
}

/** Sends a Codex task through the door, and waits for its workflow. */
export async function startTask(facteur: Facteur, deliveryId: string, fields: Json = {}): Promise<CreatedRun> {
  expect(await facteur.send(codexTask({ deliveryId, ...fields }))).toMatchObject({ status: 202 });
  return createdRun(facteur, await expectRun(facteur.db, deliveryId, 'submitted'));
}

/** @param row of `facteur.runs` */
export function createdRun({ cluster }: Facteur, { run_id: runId, workflow_name: workflowName }: Json): CreatedRun {
  const workflow = cluster.store.get('workflows', NAMESPACE, workflowName).object as Json;
  const listed: { name: string; value: string }[] = workflow.spec.arguments.parameters;
  const parameters = Object.fromEntries(listed.map(({ name, value }) => [name, value]));
  const given = parameters['reflections'];
  const received = given === undefined ? undefined : JSON.parse(Buffer.from(given, 'base64').toString());
  return { runId, workflowName, token: parameters['facteur_token'] ?? '', parameters, received };
}

/** Reports a reflection like the run's workflow. @returns its id */
export async function reflect(
  facteur: Facteur,
  { runId, token }: CreatedRun,
  content: string,
  type = 'failure_postmortem',
): Promise<string> {
  const answer = await callApi(facteur.url, `PUT /v1/runs/${runId}/reflections/${type}`, { token, body: { content } });
  expect(answer).toMatchObject({ status: 201 });
  return answer.body.reflectionId;
}

/** A succeeded run with this reflection. */
export async function teach(
  facteur: Facteur,
  deliveryId: string,
  content: string,
  fields: Json = {},
): Promise<CreatedRun & { readonly reflectionId: string }> {
  const run = await startTask(facteur, deliveryId, fields);
  const reflectionId = await reflect(facteur, run, content);
  await forceState(facteur.db, run.runId, 'succeeded');
  return { ...run, reflectionId };
}

/** The retrieval decision for a run, with the policy check and the artifact that record it. */
export async function decisionOf(db: Queryable, runId: string): Promise<Json> {
  const { rows } = await db.query({
    text: `SELECT x.strategy, c.status, c.metadata AS check, a.metadata AS log,
        (SELECT count(*)::int FROM facteur.reflection_uses u WHERE u.run_id = x.run_id) AS uses
      FROM facteur.retrievals x LEFT JOIN codex_kb.policy_checks c ON c.task_run_id = x.run_id AND c.policy_key = 'retrieval.router'
        LEFT JOIN codex_kb.artifacts a ON a.task_run_id = x.run_id AND a.artifact_type = 'retrieval_decision_log'
      WHERE x.run_id = $1`,
    values: [runId],
  });
  return rows[0];
}

/** The standing of a reflection. */
export async function standingOf(db: Queryable, reflectionId: string): Promise<Json> {
  const { rows } = await db.query({
    text: 'SELECT state, reason, decided_by AS by FROM facteur.reflection_standing WHERE reflection_id = $1',
    values: [reflectionId],
  });
  return rows[0];
}

/** Like `facteur knowledge`. */
export async function setState(db: Queryable, reflectionId: string, state: string): Promise<void> {
  await db.query({
    text: `UPDATE facteur.reflection_standing SET state = $2, decided_by = 'a test' WHERE reflection_id = $1`,
    values: [reflectionId, state],
  });
}

/** Runs of one command in one repository, with their retrieval decision and final state. */
export async function seedRuns(
  db: Queryable,
  strategy: 'retrieve' | 'holdout' | 'nothing_similar',
  states: Partial<Record<RunState, number>>,
  reflectionId?: string,
): Promise<void> {
  for (const [state, count] of Object.entries(states)) {
    for (let index = 0; index < count; index += 1) {
      const { runId } = await recordRun(db, { run: newRun({ command: 'implementation' }), claim: true });
      await recordRetrieval(db, {
        runId,
        strategy,
        repository: 'acme/rocket',
        askedBy: '',
        uses: reflectionId === undefined ? [] : [{ reflectionId, place: 1, similarity: 0.5 }],
        composition: null,
        log: null,
      });
      await forceState(db, runId, state as RunState);
    }
  }
}
