import type { Database, Queryable } from '../clients/postgres/database.ts';
import { deliveryKey, type DeliveryFamily } from '../domain/delivery.ts';
import type { RunState } from '../domain/run-state.ts';
import type { NewRun } from '../domain/run.ts';
import { closeApprovals } from './approvals.ts';
import { changeMessages } from './messages.ts';
import { FIRST_FENCE } from './record-run.ts';

/** The run's previous state, and which messages need an update: its own, or those that ask for approvals. */
interface CancelRequest {
  readonly state: RunState;
  readonly messageChanged: boolean;
  readonly asksChanged: boolean;
}

/**
 * Requests that a live run be canceled; from then on its approvals cannot be decided. A claimed run keeps its claim: its process
 * sees the request after the attempt. The submitter does the rest, so the request survives a crash and an unreachable cluster.
 *
 * @returns undefined for an unknown run
 */
export async function requestCancel(
  db: Pick<Database, 'transaction'>,
  runId: string,
  actor: string,
): Promise<CancelRequest | undefined> {
  return db.transaction(async (tx) => {
    const marked = await markCanceled(tx, runId, actor);
    const asksChanged = marked?.state === 'running' && (await closeApprovals(tx, runId));
    return marked && { ...marked, asksChanged };
  });
}

type Marked = Omit<CancelRequest, 'asksChanged'>;

async function markCanceled(tx: Queryable, runId: string, actor: string): Promise<Marked | undefined> {
  const { rows } = await tx.query<Marked>({
    name: 'request-cancel',
    text: `WITH asked AS (
        UPDATE facteur.runs SET cancel_requested_by = $2, revision = revision + 1, updated_at = now()
        WHERE run_id = $1 AND state IN ('queued', 'submitted', 'running') AND cancel_requested_by IS NULL
        RETURNING run_id
      ), due AS (
        UPDATE facteur.open_runs SET line = 'stop', due_at = CASE WHEN claimed_until > now() THEN due_at ELSE now() END
        FROM asked WHERE open_runs.run_id = asked.run_id
      ), event AS (
        INSERT INTO codex_kb.run_events (task_run_id, event_type, actor)
        SELECT run_id, 'cancel.requested', $2 FROM asked JOIN codex_kb.task_runs ON task_runs.id = run_id
      ), message AS (${changeMessages('asked')})
      SELECT state, EXISTS (SELECT FROM message) AS "messageChanged" FROM facteur.runs WHERE run_id = $1`,
    values: [runId, actor],
  });
  return rows[0];
}

/** One recording of a delivery, identified by its time: the same delivery may have been recorded earlier. */
export interface Recording {
  readonly deliveryId: string;
  readonly family: DeliveryFamily;
  readonly acceptedAt: Date;
  /** Whether it was recorded with a claim for its own process. */
  readonly claimed: boolean;
}

/**
 * Requests that a run be canceled because its sender was told that recording failed. It is due immediately if no process works on
 * it; the claim from its recording does not count, since its process does not use it. A claim of another process stays, and that
 * process sees the request after its attempt.
 *
 * @returns the run's id, or undefined if this recording created no run, or one that has ended
 */
export async function withdrawRun(db: Queryable, recording: Recording, actor: string): Promise<string | undefined> {
  const { rows } = await db.query<{ readonly run_id: string }>({
    name: 'withdraw-run',
    text: `WITH asked AS (
        UPDATE facteur.runs SET cancel_requested_by = $3, withdrawn = true, updated_at = now()
        WHERE delivery_key = $1 AND accepted_at = $2 AND state IN ('queued', 'submitted', 'running')
          AND cancel_requested_by IS NULL
        RETURNING run_id, claims
      ), due AS (
        UPDATE facteur.open_runs SET line = 'stop',
          due_at = CASE WHEN claimed_until > now() AND claims <> $4 THEN due_at ELSE now() END,
          claimed_until = CASE WHEN claims <> $4 THEN claimed_until END
        FROM asked WHERE open_runs.run_id = asked.run_id
      ), event AS (
        INSERT INTO codex_kb.run_events (task_run_id, event_type, actor) SELECT run_id, 'cancel.requested', $3 FROM asked
      )
      SELECT run_id FROM asked`,
    values: [
      deliveryKey(recording.family, recording.deliveryId),
      recording.acceptedAt,
      actor,
      recording.claimed ? FIRST_FENCE : 0,
    ],
  });
  return rows[0]?.run_id;
}

/** The recorded data of a run, to record it again. */
export type RecordedRun = Omit<NewRun, 'family' | 'state' | 'acceptedAt' | 'message'> & {
  readonly runId: string;
  readonly state: RunState;
  /** Null when no message shows the run. */
  readonly message: NonNullable<NewRun['message']> | null;
  /** The number of withdrawn retries, which do not count. */
  readonly withdrawnRetries: number;
};

/** A run with all its recorded data, or undefined if it does not exist or was archived. */
export async function findForRetry(db: Queryable, runId: string): Promise<RecordedRun | undefined> {
  const { rows } = await db.query<RecordedRun>({
    name: 'find-for-retry',
    text: `SELECT r.run_id AS "runId", r.delivery_id AS "deliveryId", r.kind, r.command, r.title, r.door, r.state, r.plan, r.traceparent,
        CASE WHEN r.correlation_id <> r.workflow_name THEN r.correlation_id ELSE '' END AS "correlationId",
        r.user_id AS "userId", r.guild_id AS "guildId", r.channel_id AS "channelId",
        jsonb_build_object('sourceType', i.source_type, 'sourceRef', i.source_ref, 'status', i.status, 'payload', i.payload) AS idea,
        jsonb_build_object('stage', t.stage, 'metadata', t.metadata) AS task, tr.metadata AS "runMetadata",
        CASE WHEN m.run_id IS NOT NULL
          THEN jsonb_build_object('interactionId', m.interaction_id, 'ephemeral', m.ephemeral, 'ping', m.ping, 'quiet', m.quiet) END AS message,
        (SELECT count(*)::int FROM facteur.runs w WHERE w.retry_of = r.run_id AND w.withdrawn) AS "withdrawnRetries"
      FROM facteur.runs r
        JOIN codex_kb.task_runs tr ON tr.id = r.run_id
        JOIN codex_kb.tasks t ON t.id = tr.task_id
        JOIN codex_kb.ideas i ON i.id = t.idea_id
        LEFT JOIN facteur.messages m ON m.run_id = r.run_id
      WHERE r.run_id = $1 AND r.plan IS NOT NULL`,
    values: [runId],
  });
  return rows[0];
}

/** Records the requester of a retry as an event of the first run; does nothing if that run is archived. */
export async function noteRetry(
  db: Queryable,
  { runId, newId, actor }: { readonly runId: string; readonly newId: string; readonly actor: string },
): Promise<void> {
  await db.query({
    name: 'note-retry',
    text: `INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
      SELECT id, 'retry.requested', $2, jsonb_build_object('runId', $3::text) FROM codex_kb.task_runs WHERE id = $1`,
    values: [runId, actor, newId],
  });
}
