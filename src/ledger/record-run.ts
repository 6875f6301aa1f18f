import { DatabaseError, type Database } from '../clients/postgres/database.ts';
import { FacteurError } from '../base/errors.ts';
import type { NewRun, RunReceipt } from '../domain/run.ts';
import { workflowName } from '../domain/workflow-name.ts';
import { RECEIPT_COLUMNS, toReceipt, type ReceiptRow } from './receipt-row.ts';

/**
 * How long the process that recorded a run has it to itself, in seconds: longer than a create may take (10 s), so that
 * no sweeper tries the same run beside it, and short enough that a crash is not felt for long.
 */
export const CLAIM_SECONDS = 15;

/** A collision of names or a race of two identical deliveries is settled by the next try; more are a fault. */
const MAX_TRIES = 5;

/**
 * The delivery is inserted first and everything else hangs on its row, so that a replay, which inserts nothing, changes
 * nothing. A delivery that the Go service recorded has a `task_runs` row only: it was submitted by that service, so it
 * is a duplicate here, under whatever name is known.
 */
const RECORD = `
WITH fresh AS (
  INSERT INTO facteur.runs AS runs (run_id, delivery_id, kind, command, door, state, previous_state, namespace, workflow_name,
    plan, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at, attempts, due_at, claimed_until, retry_of, reason)
  SELECT gen_random_uuid(), $1, $2, $3, $4, $5, CASE $5::text WHEN 'queued' THEN NULL ELSE 'queued' END, $6, $7,
    $8::json, $9, $10, $11, $12, $13, $14, CASE WHEN $15 > 0 THEN 1 ELSE 0 END,
    CASE $5::text WHEN 'queued' THEN now() + make_interval(secs => $15) END,
    CASE WHEN $15 > 0 THEN now() + make_interval(secs => $15) END, $25::uuid,
    CASE $5::text WHEN 'skipped' THEN 'the dispatcher is disabled' ELSE '' END
  WHERE NOT EXISTS (SELECT FROM codex_kb.task_runs WHERE delivery_id = $1)
  ON CONFLICT (delivery_id) DO NOTHING
  RETURNING runs.*
), idea AS (
  INSERT INTO codex_kb.ideas (source_type, source_ref, status, payload)
  SELECT $16, $17, $18, $19::jsonb FROM fresh
  ON CONFLICT (source_type, source_ref)
    DO UPDATE SET status = EXCLUDED.status, payload = EXCLUDED.payload, updated_at = now()
  RETURNING id
), task AS (
  INSERT INTO codex_kb.tasks (idea_id, stage, state, metadata)
  SELECT idea.id, $20, $5, $21::jsonb FROM idea
  ON CONFLICT (idea_id, stage) DO UPDATE SET state = EXCLUDED.state, metadata = EXCLUDED.metadata, updated_at = now()
  RETURNING id
), run AS (
  INSERT INTO codex_kb.task_runs (id, task_id, status, queued_at, metadata, delivery_id)
  SELECT fresh.run_id, task.id, fresh.state, fresh.accepted_at, $22::jsonb, fresh.delivery_id FROM fresh, task
  RETURNING id
), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT id, 'state.change', 'facteur', jsonb_build_object('to', $5::text, 'door', $4::text) FROM run
), message AS (
  INSERT INTO facteur.messages (run_id, interaction_id, channel_id, ephemeral, due_at)
  SELECT run_id, $23, $13, $24, now() FROM fresh WHERE $23::text IS NOT NULL
)
SELECT ${RECEIPT_COLUMNS}, false AS duplicate FROM fresh
UNION ALL
SELECT ${RECEIPT_COLUMNS}, true FROM facteur.runs WHERE delivery_id = $1
UNION ALL
SELECT id, delivery_id, $6, coalesce(external_run_id, ''), '', queued_at, 'submitted', '', true
  FROM codex_kb.task_runs
  WHERE delivery_id = $1 AND NOT EXISTS (SELECT FROM facteur.runs WHERE delivery_id = $1)`;

/**
 * Remembers a run and reserves its workflow's name: one statement, one round trip, durable when it returns. The same
 * delivery id gives the same receipt for ever, with `duplicate` set from the second time on.
 *
 * @param claim whether a fresh run is the caller's to submit for {@link CLAIM_SECONDS}; else it is due at once for anybody
 *
 * @throws DatabaseError `postgres.unavailable` (try again) or `postgres.invalid` (text that Postgres cannot hold)
 */
export async function recordRun(db: Database, run: NewRun, claim: boolean): Promise<RunReceipt> {
  const shared = sharedValues(run, claim ? CLAIM_SECONDS : 0);
  for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
    const name = workflowName(run.plan.namePrefix, run.acceptedAt, run.deliveryId, attempt);
    const row = await tryRecord(db, [...shared.slice(0, 6), name, ...shared.slice(6)]);
    if (row !== undefined) {
      return toReceipt(row);
    }
  }
  throw new FacteurError('ledger.contended', 'the delivery could not be recorded', { retryable: true });
}

/** The row, or nothing when another process won: its row is visible to the next statement. */
async function tryRecord(db: Database, values: readonly unknown[]): Promise<ReceiptRow | undefined> {
  try {
    const { rows } = await db.query<ReceiptRow>({ name: 'record-run', text: RECORD, values });
    return rows[0];
  } catch (error) {
    if (error instanceof DatabaseError && error.code === 'postgres.conflict') {
      return undefined;
    }
    throw error;
  }
}

/** The statement's values in order, less the workflow's name, which comes seventh. */
function sharedValues(run: NewRun, claimSeconds: number): readonly unknown[] {
  return [
    run.deliveryId,
    run.kind,
    run.command,
    run.door,
    run.state,
    run.plan.namespace,
    JSON.stringify(run.plan),
    run.correlationId,
    run.traceparent,
    run.userId,
    run.guildId,
    run.channelId,
    run.acceptedAt,
    claimSeconds,
    run.idea.sourceType,
    run.idea.sourceRef,
    run.idea.status,
    JSON.stringify(run.idea.payload),
    run.task.stage,
    JSON.stringify(run.task.metadata),
    JSON.stringify(run.runMetadata),
    run.message?.interactionId ?? null,
    run.message?.ephemeral ?? false,
    run.retryOf ?? null,
  ];
}
