import { DatabaseError, type Queryable } from '../clients/postgres/database.ts';
import { FacteurError } from '../base/errors.ts';
import type { NewRun, RunReceipt } from '../domain/run.ts';
import { deliveryKey, plainDeliveryId, sharedDeliveryId } from '../domain/delivery.ts';
import { workflowName } from '../domain/workflow-name.ts';

/**
 * How long the process that recorded a run owns it exclusively, in seconds. It is longer than a create may take (12 s), so no
 * sweep submits the run concurrently, and short, so a crash causes only a short delay.
 */
export const CLAIM_SECONDS = 15;
/** The fence of the claim with which a run is recorded. */
export const FIRST_FENCE = 1;

/** A row of `facteur.runs` as the receipt for a sender who gave `input.delivery_id`. */
const RECEIPT = `run_id AS "runId", input.delivery_id AS "deliveryId", nullif(delivery_id, input.delivery_id) AS "recordedId",
  namespace, workflow_name AS "workflowName", correlation_id AS "correlationId", accepted_at AS "acceptedAt", state, reason,
  taken_over AS "takenOver"`;

/** The next attempt resolves a name collision or a race of two identical deliveries; more attempts indicate a bug. */
const MAX_TRIES = 5;

/**
 * The delivery is inserted first, and everything else depends on its row: a replay inserts nothing and so changes nothing. Rows
 * are inserted in the order of their keys, so two statements with the same keys wait for each other without a deadlock.
 *
 * elsewhere  deliveries that are not in the ledger but in `task_runs`. The Go service leaves a Codex task `queued` and without
 *            a name, whether or not its workflow was created: such a delivery becomes a run, for which the submitter first
 *            searches for the workflow. Any other delivery was submitted, and is a duplicate. Commands of older versions
 *            have their plain ids there, which must not be mistaken for those of Codex tasks
 * input      in the order of the runs: they become due, and get their events, in this order. The first is due immediately,
 *            because the embedded engine's clock has milliseconds and the next statement may see the same time
 * placed     the id shown in the ledger, which another family may already have. Without EXISTS, for which Postgres may read
 *            and hash the whole table, and keep that plan while the table grows
 * made       the source of the rows in the other tables
 */
const RECORD = `
WITH input AS (
  SELECT *, row_number() OVER () - 1 AS place FROM json_to_recordset($1::json) AS input (delivery_id text, delivery_key text, plain_id text, shared_id text, kind text, command text, title text, door text, actor text, state text,
    namespace text, workflow_name text, plan json, correlation_id text, traceparent text, user_id text, guild_id text,
    channel_id text, accepted_at timestamptz, claim_seconds float8, retry_of uuid, source_type text, source_ref text,
    idea_status text, payload jsonb, stage text, task_metadata jsonb, run_metadata jsonb, interaction_id text, ephemeral boolean, ping text, quiet boolean)
), elsewhere AS (
  SELECT input.delivery_key, recorded.* FROM input CROSS JOIN LATERAL (
    SELECT r.id, r.external_run_id, r.queued_at,
      input.kind = 'codex' AND input.state = 'queued' AND r.status = 'queued' AND r.external_run_id IS NULL AS is_open
    FROM codex_kb.task_runs AS r
      JOIN codex_kb.tasks AS t ON t.id = r.task_id JOIN codex_kb.ideas AS i ON i.id = t.idea_id
    WHERE r.delivery_id IN (input.shared_id, input.delivery_id)
      AND (i.source_type = 'discord.command') = (input.kind = 'command')
      AND NOT EXISTS (SELECT FROM facteur.runs AS known WHERE known.run_id = r.id)
    LIMIT 1
  ) AS recorded
), placed AS (
  SELECT input.*, elsewhere.id AS known_id, elsewhere.queued_at, CASE
    WHEN (SELECT run_id FROM facteur.runs WHERE delivery_id = input.plain_id) IS NOT NULL THEN delivery_key
    ELSE plain_id END AS shown_id
  FROM input LEFT JOIN elsewhere USING (delivery_key) WHERE elsewhere.id IS NULL OR is_open
), fresh AS (
  INSERT INTO facteur.runs AS runs (run_id, delivery_id, delivery_key, kind, command, title, door, state, previous_state, namespace, workflow_name,
    plan, correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at, attempts, claims, retry_of, reason, taken_over)
  SELECT coalesce(known_id, gen_random_uuid()), shown_id, delivery_key, kind, command, coalesce(title, ''), door, state, CASE state WHEN 'queued' THEN NULL ELSE 'queued' END,
    namespace, workflow_name, plan, correlation_id, traceparent, user_id, guild_id, channel_id, coalesce(queued_at, accepted_at),
    (claim_seconds > 0)::int, (claim_seconds > 0)::int, retry_of, CASE state WHEN 'skipped' THEN 'the dispatcher is disabled' ELSE '' END, known_id IS NOT NULL
  FROM placed
  ORDER BY delivery_key
  ON CONFLICT (delivery_key) DO NOTHING
  RETURNING runs.*
), opened AS (
  INSERT INTO facteur.open_runs (run_id, line, in_cluster, due_at, claimed_until)
  SELECT run_id, CASE WHEN claim_seconds > 0 THEN 'retry' ELSE 'create' END, false, now() + make_interval(secs => claim_seconds + place * 1e-6),
    CASE WHEN claim_seconds > 0 THEN now() + make_interval(secs => claim_seconds) END
  FROM fresh JOIN placed USING (delivery_key) WHERE fresh.state = 'queued'
), made AS (
  SELECT fresh.run_id, fresh.state, fresh.workflow_name, fresh.accepted_at, fresh.channel_id, delivery_key, shared_id, source_type,
    CASE source_ref WHEN placed.delivery_id THEN fresh.delivery_id ELSE source_ref END AS source_ref, idea_status, payload,
    stage, task_metadata, run_metadata, interaction_id, ephemeral, ping, quiet
  FROM fresh JOIN placed USING (delivery_key) WHERE NOT taken_over
), idea AS (
  INSERT INTO codex_kb.ideas (source_type, source_ref, status, payload)
  SELECT source_type, source_ref, idea_status, payload FROM made
  ORDER BY source_type, source_ref
  ON CONFLICT (source_type, source_ref)
    DO UPDATE SET status = EXCLUDED.status, payload = EXCLUDED.payload, updated_at = now()
  RETURNING id, source_type, source_ref
), task AS (
  INSERT INTO codex_kb.tasks (idea_id, stage, state, metadata)
  SELECT idea.id, stage, state, task_metadata FROM made JOIN idea USING (source_type, source_ref)
  ON CONFLICT (idea_id, stage) DO UPDATE SET state = EXCLUDED.state, metadata = EXCLUDED.metadata, updated_at = now()
  RETURNING id, idea_id
), run AS (
  INSERT INTO codex_kb.task_runs (id, task_id, external_run_id, status, queued_at, metadata, delivery_id)
  SELECT run_id, task.id, CASE state WHEN 'queued' THEN workflow_name END, state, accepted_at, run_metadata, CASE
    WHEN (SELECT taken.id FROM codex_kb.task_runs AS taken WHERE taken.delivery_id = made.shared_id) IS NOT NULL THEN delivery_key
    ELSE shared_id END
  FROM made JOIN idea USING (source_type, source_ref) JOIN task ON task.idea_id = idea.id
), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT run_id, 'state.change', coalesce(actor, 'facteur'), jsonb_build_object('to', fresh.state, 'door', fresh.door)
  FROM fresh JOIN placed USING (delivery_key)
  ORDER BY place
), message AS (
  INSERT INTO facteur.messages (run_id, interaction_id, channel_id, ephemeral, ping, quiet, due_at)
  SELECT run_id, interaction_id, channel_id, ephemeral, coalesce(ping, ''), coalesce(quiet, false), now() FROM made WHERE interaction_id IS NOT NULL
)
SELECT input.delivery_key AS "deliveryKey", receipt.* FROM input CROSS JOIN LATERAL (
  SELECT ${RECEIPT}, false AS duplicate FROM fresh WHERE fresh.delivery_key = input.delivery_key
  UNION ALL
  SELECT ${RECEIPT}, true FROM facteur.runs WHERE runs.delivery_key = input.delivery_key
  UNION ALL
  SELECT id, input.delivery_id, NULL, input.namespace, coalesce(external_run_id, ''), '', queued_at, 'submitted', '', false, true
  FROM elsewhere WHERE elsewhere.delivery_key = input.delivery_key AND NOT is_open
    AND NOT EXISTS (SELECT FROM facteur.runs WHERE runs.delivery_key = input.delivery_key)
) AS receipt`;

/** A run to be recorded. */
export interface RecordRequest {
  readonly run: NewRun;
  /** Whether the caller must submit a new run within {@link CLAIM_SECONDS}; otherwise it is due immediately for any process. */
  readonly claim: boolean;
}

/** A run as a row of the statement's `input`: serialized once, however many statements are composed while it waits. */
export interface PreparedRun {
  readonly deliveryKey: string;
  readonly json: string;
}

/**
 * Records a run and reserves its workflow's name: one statement, one round trip, durable when it returns. The same
 * delivery id gives the same receipt forever, with `duplicate` set from the second time on.
 *
 * @throws DatabaseError `postgres.unavailable` (retry) or `postgres.invalid` (text that Postgres cannot store)
 */
export async function recordRun(
  db: Queryable,
  request: RecordRequest,
  prepared = prepareRun(request),
): Promise<RunReceipt> {
  for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
    const receipt = await tryRecord(db, attempt === 0 ? prepared : prepareRun(request, attempt));
    if (receipt !== undefined) {
      return receipt;
    }
  }
  throw new FacteurError('ledger.contended', 'the delivery could not be recorded', { retryable: true });
}

/** The receipt, or undefined if another process won the race: its row is visible to the next statement. */
async function tryRecord(db: Queryable, prepared: PreparedRun): Promise<RunReceipt | undefined> {
  try {
    const [receipt] = await recordTogether(db, [prepared]);
    return receipt;
  } catch (error) {
    if (error instanceof DatabaseError && error.code === 'postgres.conflict') {
      return undefined;
    }
    throw error;
  }
}

/**
 * Records runs with different delivery ids and different ideas in one statement: all of them, or none if it throws.
 *
 * @returns their receipts in order; undefined for a run that another process was recording at this moment
 * @throws DatabaseError like {@link recordRun}, and also `postgres.conflict`
 */
export async function recordTogether(db: Queryable, runs: readonly PreparedRun[]): Promise<(RunReceipt | undefined)[]> {
  const { rows } = await db.query<RunReceipt & Pick<PreparedRun, 'deliveryKey'>>({
    name: 'record-runs',
    text: RECORD,
    values: [`[${runs.map(({ json }) => json).join(',')}]`],
  });
  const found = new Map(rows.map(({ deliveryKey: key, ...receipt }) => [key, receipt]));
  return runs.map((run) => found.get(run.deliveryKey));
}

/** @param attempt counts up from 0 each time the workflow's name is taken */
export function prepareRun({ run, claim }: RecordRequest, attempt = 0): PreparedRun {
  const { deliveryId, plan, idea, task, message } = run;
  const name = workflowName(plan.namePrefix, run.acceptedAt, deliveryId, attempt);
  const row = {
    delivery_id: deliveryId,
    delivery_key: deliveryKey(run.family, deliveryId),
    plain_id: plainDeliveryId(run.family, deliveryId),
    shared_id: sharedDeliveryId(run.family, deliveryId),
    kind: run.kind,
    command: run.command,
    title: run.title,
    door: run.door,
    actor: run.actor,
    state: run.state,
    namespace: plan.namespace,
    workflow_name: name,
    plan,
    correlation_id: run.correlationId || name,
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
    ping: message?.ping,
    quiet: message?.quiet,
  };
  return { deliveryKey: row.delivery_key, json: JSON.stringify(row) };
}
