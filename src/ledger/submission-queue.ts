import type { Database, Queryable } from '../clients/postgres/database.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';
import { CLAIM_SECONDS } from './record-run.ts';

/** A run whose turn it is to be created in the cluster, or to be ended there, claimed for this process for a while. */
export interface ClaimedRun {
  readonly runId: string;
  readonly deliveryId: string;
  readonly workflowName: string;
  readonly traceparent: string;
  readonly acceptedAt: Date;
  /** Tries so far, this one included. */
  readonly attempts: number;
  readonly plan: WorkflowPlan;
  readonly state: 'queued' | 'submitted' | 'running';
  readonly workflowUid: string;
  /** Who asked for the run to be ended; empty when nobody did. */
  readonly cancelRequestedBy: string;
}

type Row = { readonly next_ms: number | null } & (ClaimedRow | { readonly run_id: null });

/** Whether its workflow is to be created; else it is to be ended. */
export function isToCreate(run: ClaimedRun): boolean {
  return run.cancelRequestedBy === '' && run.state === 'queued';
}

interface ClaimedRow {
  readonly run_id: string;
  readonly delivery_id: string;
  readonly workflow_name: string;
  readonly traceparent: string;
  readonly accepted_at: Date;
  readonly attempts: number;
  readonly plan: WorkflowPlan;
  readonly state: ClaimedRun['state'];
  readonly workflow_uid: string | null;
  readonly cancel_requested_by: string | null;
}

export interface ClaimLimits {
  /** Runs to claim at most. */
  readonly limit: number;
  /** Live workflows at a time, or undefined for no limit. */
  readonly maxActive: number | undefined;
}

/** Any number that all facteurs agree on: admission counts and claims in one go, one process at a time. */
const ADMISSION_LOCK = 0x66_61_63_01;

/**
 * Runs to be ended come first and are never held back. The others come in order of arrival, as many as there is room
 * for: live ones count, and those that were tried, because the cluster may have taken them although no answer said so.
 * A run keeps its place for its first ten tries, some minutes: by then the follower would have seen its workflow.
 */
const CLAIM = `
WITH room AS (
  SELECT CASE WHEN $3::int IS NULL THEN $1::int ELSE least($1::int, greatest(0, $3::int
    - (SELECT count(*)::int FROM facteur.runs WHERE state IN ('submitted', 'running'))
    - (SELECT count(*)::int FROM facteur.runs WHERE due_at > now() AND state = 'queued' AND attempts BETWEEN 1 AND 10)
    )) END AS places
), to_stop AS (
  SELECT run_id FROM facteur.runs WHERE due_at <= now() AND cancel_requested_by IS NOT NULL
  ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
), to_retry AS (
  SELECT run_id FROM facteur.runs
  WHERE $3::int IS NOT NULL AND due_at <= now() AND cancel_requested_by IS NULL AND attempts BETWEEN 1 AND 10
  ORDER BY due_at LIMIT (SELECT places FROM room) FOR UPDATE SKIP LOCKED
), to_create AS (
  SELECT run_id FROM facteur.runs
  WHERE due_at <= now() AND cancel_requested_by IS NULL AND ($3::int IS NULL OR attempts NOT BETWEEN 1 AND 10)
  ORDER BY due_at LIMIT (SELECT places FROM room) - (SELECT count(*) FROM to_retry) FOR UPDATE SKIP LOCKED
)
, chosen AS MATERIALIZED (
  SELECT run_id FROM to_stop UNION ALL SELECT run_id FROM to_retry UNION ALL SELECT run_id FROM to_create
), claimed AS (
  UPDATE facteur.runs SET attempts = attempts + 1, due_at = now() + make_interval(secs => $2),
    claimed_until = now() + make_interval(secs => $2)
  WHERE run_id IN (SELECT run_id FROM chosen)
  RETURNING run_id, delivery_id, workflow_name, traceparent, accepted_at, attempts, plan, state, workflow_uid, cancel_requested_by
), next AS (
  SELECT (extract(epoch FROM least(
    (SELECT min(due_at) FROM facteur.runs WHERE due_at > now()),
    (SELECT min(due_at) FROM facteur.runs
      WHERE due_at <= now() AND cancel_requested_by IS NOT NULL AND run_id NOT IN (SELECT run_id FROM chosen)),
    (SELECT min(due_at) FROM facteur.runs
      WHERE $3::int IS NULL AND due_at <= now() AND run_id NOT IN (SELECT run_id FROM chosen))
  ) - now()) * 1000)::float8 AS next_ms
)
SELECT next.next_ms, claimed.* FROM next LEFT JOIN claimed ON true`;

/** Rows that another statement was just looking at are skipped, and due still: soon they can be had, in milliseconds. */
const SKIPPED_MS = 100;

export interface ClaimedRuns {
  readonly runs: readonly ClaimedRun[];
  /** Until the next run is due that is not claimed here, in milliseconds; undefined when none is. Waiting for room is not being due. */
  readonly nextInMs: number | undefined;
}

/** Takes due runs; other processes skip them until the claim runs out. */
export async function claimDueRuns(db: Database, { limit, maxActive }: ClaimLimits): Promise<ClaimedRuns> {
  const claim = (queryable: Queryable) =>
    queryable.query<Row>({
      name: 'claim-due-runs',
      text: CLAIM,
      values: [limit, CLAIM_SECONDS, maxActive ?? null],
    });
  const { rows } =
    maxActive === undefined
      ? await claim(db)
      : await db.transaction(async (tx) => {
          await tx.query({ text: 'SELECT pg_advisory_xact_lock($1)', values: [ADMISSION_LOCK] });
          return claim(tx);
        });
  const nextMs = rows[0]?.next_ms ?? undefined;
  return {
    runs: rows.flatMap((row) => (row.run_id === null ? [] : [toClaimedRun(row)])),
    nextInMs: nextMs === undefined ? undefined : Math.max(SKIPPED_MS, nextMs),
  };
}

function toClaimedRun(row: ClaimedRow): ClaimedRun {
  return {
    runId: row.run_id,
    deliveryId: row.delivery_id,
    workflowName: row.workflow_name,
    traceparent: row.traceparent,
    acceptedAt: row.accepted_at,
    attempts: row.attempts,
    plan: row.plan,
    state: row.state,
    workflowUid: row.workflow_uid ?? '',
    cancelRequestedBy: row.cancel_requested_by ?? '',
  };
}

/**
 * Puts a claimed run back, to be tried again after `delayMs`, with the reason. When somebody asked for its end while it
 * was claimed, it is due at once.
 *
 * @returns `news`: its message has something new to show, that it waits, where it did not before; `due`: it is, at once
 */
export async function postponeRun(
  db: Queryable,
  run: ClaimedRun,
  delayMs: number,
  reason: string,
): Promise<{ readonly news: boolean; readonly due: boolean }> {
  const { rows } = await db.query<{ readonly news: boolean; readonly due: boolean }>({
    name: 'postpone-run',
    text: `WITH run AS (
        SELECT run_id, state = 'queued' AND reason = '' AND $3 <> '' AS news FROM facteur.runs
        WHERE run_id = $1 AND due_at IS NOT NULL FOR NO KEY UPDATE
      ), postponed AS (
        UPDATE facteur.runs SET updated_at = now(), claimed_until = NULL, revision = revision + run.news::int,
          reason = CASE state WHEN 'queued' THEN $3 ELSE reason END,
          due_at = now() + make_interval(secs => CASE WHEN cancel_requested_by IS NOT NULL AND $4 THEN 0 ELSE $2::float8 END)
        FROM run WHERE runs.run_id = run.run_id
        RETURNING runs.due_at <= now() AS due
      ), message AS (
        UPDATE facteur.messages SET due_at = greatest(now(), not_before) FROM run
        WHERE messages.run_id = run.run_id AND run.news
        RETURNING messages.run_id
      )
      SELECT due, EXISTS (SELECT FROM message) AS news FROM postponed`,
    values: [run.runId, delayMs / 1000, reason, run.cancelRequestedBy === ''],
  });
  return rows[0] ?? { news: false, due: false };
}

/** Nothing is left to be done for this run for now: its workflow was told to end, or is gone. */
export async function settleRun(db: Queryable, runId: string): Promise<void> {
  await db.query({
    name: 'settle-run',
    text: `UPDATE facteur.runs SET due_at = NULL, claimed_until = NULL WHERE run_id = $1 AND state <> 'queued'`,
    values: [runId],
  });
}

/**
 * Reserves another name for a run whose name a foreign object has.
 *
 * @returns false when the run is no longer queued under `oldName`: somebody else went on with it
 */
export async function renameRun(db: Queryable, runId: string, oldName: string, newName: string): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'rename-run',
    text: `UPDATE facteur.runs SET workflow_name = $3, updated_at = now()
      WHERE run_id = $1 AND workflow_name = $2 AND state = 'queued'`,
    values: [runId, oldName, newName],
  });
  return rowCount === 1;
}
