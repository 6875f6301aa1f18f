import { DatabaseError, type Queryable } from '../clients/postgres/database.ts';
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
 * is a duplicate here, under whatever name is known. Rows are inserted in the order of their keys, so that two statements
 * with the same ones wait for each other and never in a circle.
 */
const RECORD = `
WITH input AS (
  SELECT * FROM json_to_recordset($1::json) AS input (place int, delivery_id text, kind text, command text, door text, state text,
    namespace text, workflow_name text, plan json, correlation_id text, traceparent text, user_id text, guild_id text,
    channel_id text, accepted_at timestamptz, claim_seconds float8, retry_of uuid, source_type text, source_ref text,
    idea_status text, payload jsonb, stage text, task_metadata jsonb, run_metadata jsonb, interaction_id text, ephemeral boolean)
), fresh AS (
  INSERT INTO facteur.runs AS runs (run_id, delivery_id, kind, command, door, state, previous_state, namespace, workflow_name,
    plan, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at, attempts, due_at, claimed_until, retry_of, reason)
  SELECT gen_random_uuid(), delivery_id, kind, command, door, state, CASE state WHEN 'queued' THEN NULL ELSE 'queued' END,
    namespace, workflow_name, plan, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at,
    CASE WHEN claim_seconds > 0 THEN 1 ELSE 0 END,
    CASE state WHEN 'queued' THEN now() + make_interval(secs => claim_seconds) END,
    CASE WHEN claim_seconds > 0 THEN now() + make_interval(secs => claim_seconds) END, retry_of,
    CASE state WHEN 'skipped' THEN 'the dispatcher is disabled' ELSE '' END
  FROM input
  WHERE (SELECT id FROM codex_kb.task_runs AS recorded WHERE recorded.delivery_id = input.delivery_id) IS NULL
  ORDER BY delivery_id
  ON CONFLICT (delivery_id) DO NOTHING
  RETURNING runs.*
), idea AS (
  INSERT INTO codex_kb.ideas (source_type, source_ref, status, payload)
  SELECT source_type, source_ref, idea_status, payload FROM fresh JOIN input USING (delivery_id)
  ORDER BY source_type, source_ref
  ON CONFLICT (source_type, source_ref)
    DO UPDATE SET status = EXCLUDED.status, payload = EXCLUDED.payload, updated_at = now()
  RETURNING id, source_type, source_ref
), task AS (
  INSERT INTO codex_kb.tasks (idea_id, stage, state, metadata)
  SELECT idea.id, input.stage, input.state, input.task_metadata
  FROM fresh JOIN input USING (delivery_id) JOIN idea USING (source_type, source_ref)
  ON CONFLICT (idea_id, stage) DO UPDATE SET state = EXCLUDED.state, metadata = EXCLUDED.metadata, updated_at = now()
  RETURNING id, idea_id
), run AS (
  INSERT INTO codex_kb.task_runs (id, task_id, status, queued_at, metadata, delivery_id)
  SELECT fresh.run_id, task.id, fresh.state, fresh.accepted_at, input.run_metadata, delivery_id
  FROM fresh JOIN input USING (delivery_id) JOIN idea USING (source_type, source_ref) JOIN task ON task.idea_id = idea.id
), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT run_id, 'state.change', 'facteur', jsonb_build_object('to', state, 'door', door) FROM fresh
), message AS (
  INSERT INTO facteur.messages (run_id, interaction_id, channel_id, ephemeral, due_at)
  SELECT fresh.run_id, input.interaction_id, fresh.channel_id, input.ephemeral, now()
  FROM fresh JOIN input USING (delivery_id) WHERE input.interaction_id IS NOT NULL
)
SELECT input.place, receipt.* FROM input CROSS JOIN LATERAL (
  SELECT ${RECEIPT_COLUMNS}, false AS duplicate FROM fresh WHERE fresh.delivery_id = input.delivery_id
  UNION ALL
  SELECT ${RECEIPT_COLUMNS}, true FROM facteur.runs WHERE runs.delivery_id = input.delivery_id
  UNION ALL
  SELECT id, delivery_id, input.namespace, coalesce(external_run_id, ''), '', queued_at, 'submitted', '', true
  FROM codex_kb.task_runs
  WHERE delivery_id = input.delivery_id
    AND NOT EXISTS (SELECT FROM facteur.runs AS known WHERE known.delivery_id = input.delivery_id)
) AS receipt`;

/** A run to be recorded. */
export interface RecordRequest {
  readonly run: NewRun;
  /** Whether a fresh run is the caller's to submit for {@link CLAIM_SECONDS}; else it is due at once for anybody. */
  readonly claim: boolean;
}

/**
 * Remembers a run and reserves its workflow's name: one statement, one round trip, durable when it returns. The same
 * delivery id gives the same receipt for ever, with `duplicate` set from the second time on.
 *
 * @throws DatabaseError `postgres.unavailable` (try again) or `postgres.invalid` (text that Postgres cannot hold)
 */
export async function recordRun(db: Queryable, request: RecordRequest): Promise<RunReceipt> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
    const receipt = await tryRecord(db, request, attempt);
    if (receipt !== undefined) {
      return receipt;
    }
  }
  throw new FacteurError('ledger.contended', 'the delivery could not be recorded', { retryable: true });
}

/** The receipt, or nothing when another process won: its row is visible to the next statement. */
async function tryRecord(db: Queryable, request: RecordRequest, attempt: number): Promise<RunReceipt | undefined> {
  try {
    const [receipt] = await recordTogether(db, [request], attempt);
    return receipt;
  } catch (error) {
    if (error instanceof DatabaseError && error.code === 'postgres.conflict') {
      return undefined;
    }
    throw error;
  }
}

/**
 * Records runs with different delivery ids and different ideas by one statement: all of them, or none when it throws.
 *
 * @param attempt counts up from 0 when a workflow's name was taken
 * @returns their receipts in order; nothing in the place of one that somebody else was just recording
 * @throws DatabaseError as {@link recordRun} does, and `postgres.conflict`
 */
export async function recordTogether(
  db: Queryable,
  requests: readonly RecordRequest[],
  attempt = 0,
): Promise<(RunReceipt | undefined)[]> {
  const input = requests.map((request, place) => inputOf(request, place, attempt));
  const { rows } = await db.query<ReceiptRow & { readonly place: number }>({
    name: 'record-runs',
    text: RECORD,
    values: [JSON.stringify(input)],
  });
  const receipts = new Map(rows.map((row) => [row.place, toReceipt(row)]));
  return requests.map((_, place) => receipts.get(place));
}

/** A row of the statement's `input`. */
function inputOf({ run, claim }: RecordRequest, place: number, attempt: number) {
  const { deliveryId, plan, idea, task, message } = run;
  return {
    place,
    delivery_id: deliveryId,
    kind: run.kind,
    command: run.command,
    door: run.door,
    state: run.state,
    namespace: plan.namespace,
    workflow_name: workflowName(plan.namePrefix, run.acceptedAt, deliveryId, attempt),
    plan,
    correlation_id: run.correlationId,
    traceparent: run.traceparent,
    user_id: run.userId,
    guild_id: run.guildId,
    channel_id: run.channelId,
    accepted_at: run.acceptedAt,
    claim_seconds: claim ? CLAIM_SECONDS : 0,
    retry_of: run.retryOf,
    source_type: idea.sourceType,
    source_ref: idea.sourceRef,
    idea_status: idea.status,
    payload: idea.payload,
    stage: task.stage,
    task_metadata: task.metadata,
    run_metadata: run.runMetadata,
    interaction_id: message?.interactionId,
    ephemeral: message?.ephemeral ?? false,
  };
}
