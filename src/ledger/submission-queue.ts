import type { Database, Queryable } from '../clients/postgres/database.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';
import { changeMessages } from './messages.ts';
import { CLAIM_SECONDS } from './record-run.ts';
import { claimedOf, type ClaimRow } from './due-work.ts';

/** A run that is due to be created or stopped in the cluster, claimed by this process for a while. */
export interface ClaimedRun {
  readonly runId: string;
  /** The fence: a late process finds a different number in the row, and can change nothing. */
  readonly fence: number;
  readonly deliveryId: string;
  readonly workflowName: string;
  readonly traceparent: string;
  readonly acceptedAt: Date;
  /** Number of attempts, including this one. */
  readonly attempts: number;
  /** How long all attempts have been refused in a way that may be temporary, in milliseconds; 0 if the last one was not. */
  readonly refusedForMs: number;
  readonly plan: WorkflowPlan;
  /** `canceled` and `refused` if its workflow appeared after the run had ended, and must be stopped. */
  readonly state: 'queued' | 'submitted' | 'running' | 'canceled' | 'refused';
  readonly workflowUid: string;
  /** Who requested the cancel; empty without a request. */
  readonly cancelRequestedBy: string;
  /** The Go service recorded it, and may have created its workflow under another name. */
  readonly takenOver: boolean;
}

/** Whether to create its workflow; otherwise it must be stopped. */
export function isToCreate(run: ClaimedRun): boolean {
  return run.cancelRequestedBy === '' && run.state === 'queued';
}

interface ClaimLimits {
  /** Maximum number of runs to claim. */
  readonly limit: number;
  /** Maximum number of live workflows at a time; undefined for no limit. */
  readonly maxActive: number | undefined;
}

/** An arbitrary number shared by all facteur processes: only one process at a time counts live runs and claims more. */
const ADMISSION_LOCK = 0x66_61_63_01;
/** After this many attempts, which take some minutes, the follower would have seen a workflow whose create was not answered. */
const TRIES_WITH_PLACE = 10;

/** The plan of an archived run that became live again through a retry in Argo: it can only be stopped. */
const ARCHIVED_PLAN = `json_build_object('namespace', namespace, 'workflowTemplate', '', 'serviceAccount', '', 'namePrefix', '',
  'parameters', json '{}', 'labels', json '{}', 'annotations', json '{}')`;

/**
 * Runs to stop come first and are never delayed. The others follow in order of arrival, as many as there is room for. Live runs
 * count, and so do attempted ones, because the cluster may have accepted them although the response was lost. A run keeps its
 * place for its first {@link TRIES_WITH_PLACE} attempts, and later while one is in progress.
 *
 * Only runs that are taken or attempted are read, however many wait. Postgres expects an array to be short, but estimates the
 * result of an unknown LIMIT as a tenth of all rows. A run is locked together with its place in the queue, so this statement
 * never waits for one that moves the run.
 */
const CLAIM = `
WITH room AS (
  SELECT CASE WHEN $3::int IS NULL THEN $1::int ELSE least($1::int, greatest(0, $3::int
    - (SELECT count(*)::int FROM facteur.open_runs WHERE in_cluster)
    - (SELECT count(*)::int FROM facteur.open_runs WHERE due_at > now() AND line = 'retry')
    - (SELECT count(*)::int FROM facteur.open_runs WHERE due_at > now() AND claimed_until > now() AND line = 'create' AND NOT in_cluster)
    - (SELECT count(*)::int FROM facteur.open_runs JOIN facteur.runs USING (run_id)
        WHERE due_at > now() AND line = 'stop' AND NOT in_cluster AND state = 'queued' AND attempts BETWEEN 1 AND ${TRIES_WITH_PLACE})
    )) END AS places
), to_stop AS (
  SELECT run_id FROM facteur.open_runs JOIN facteur.runs USING (run_id) WHERE due_at <= now() AND line = 'stop'
  ORDER BY due_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
), to_retry AS (
  SELECT run_id FROM facteur.open_runs JOIN facteur.runs USING (run_id)
  WHERE $3::int IS NOT NULL AND due_at <= now() AND line = 'retry'
  ORDER BY due_at LIMIT (SELECT places FROM room) FOR NO KEY UPDATE SKIP LOCKED
), to_create AS (
  SELECT run_id FROM facteur.open_runs JOIN facteur.runs USING (run_id)
  WHERE due_at <= now() AND line <> 'stop' AND ($3::int IS NULL OR line = 'create')
  ORDER BY due_at LIMIT (SELECT places FROM room) - (SELECT count(*) FROM to_retry) FOR NO KEY UPDATE SKIP LOCKED
), chosen AS MATERIALIZED (
  SELECT run_id FROM to_stop UNION ALL SELECT run_id FROM to_retry UNION ALL SELECT run_id FROM to_create
), taken AS (
  UPDATE facteur.open_runs SET due_at = now() + make_interval(secs => $2), claimed_until = now() + make_interval(secs => $2),
    line = CASE WHEN line = 'stop' THEN line WHEN runs.attempts < ${TRIES_WITH_PLACE} THEN 'retry' ELSE 'create' END
  FROM facteur.runs WHERE open_runs.run_id = ANY (ARRAY(SELECT run_id FROM chosen)) AND runs.run_id = open_runs.run_id
), claimed AS (
  UPDATE facteur.runs SET attempts = attempts + 1, claims = claims + 1
  WHERE run_id = ANY (ARRAY(SELECT run_id FROM chosen))
  RETURNING run_id AS "runId", claims AS fence, delivery_id AS "deliveryId", workflow_name AS "workflowName", traceparent,
    accepted_at AS "acceptedAt", attempts,
    coalesce(extract(epoch FROM now() - refused_since) * 1000, 0)::float8 AS "refusedForMs", state,
    coalesce(plan, ${ARCHIVED_PLAN}) AS plan,
    coalesce(workflow_uid, '') AS "workflowUid", coalesce(cancel_requested_by, '') AS "cancelRequestedBy",
    taken_over AS "takenOver"
), next AS (
  SELECT (extract(epoch FROM least(
    (SELECT min(due_at) FROM facteur.open_runs WHERE due_at > now()),
    (SELECT min(due_at) FROM facteur.open_runs
      WHERE due_at <= now() AND line = 'stop' AND run_id NOT IN (SELECT run_id FROM chosen)),
    (SELECT min(due_at) FROM facteur.open_runs
      WHERE $3::int IS NULL AND due_at <= now() AND run_id NOT IN (SELECT run_id FROM chosen))
  ) - now()) * 1000)::float8 AS "nextInMs"
)
SELECT next.*, claimed.* FROM next LEFT JOIN claimed ON true`;

/** Due rows that another statement has locked are skipped; they are available again after about this time, in milliseconds. */
const SKIPPED_MS = 100;

interface ClaimedRuns {
  readonly runs: readonly ClaimedRun[];
  /** Milliseconds until the next unclaimed run is due; undefined if none is. A run that waits for room is not due. */
  readonly nextInMs: number | undefined;
}

/** Claims due runs; other processes skip them until the claim expires. */
export async function claimDueRuns(db: Database, { limit, maxActive }: ClaimLimits): Promise<ClaimedRuns> {
  const claim = (queryable: Queryable) =>
    queryable.query<ClaimRow<ClaimedRun>>({
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
  const { claimed: runs, nextInMs } = claimedOf(rows);
  return { runs, nextInMs: nextInMs === undefined ? undefined : Math.max(SKIPPED_MS, nextInMs) };
}

interface Postponement {
  readonly delayMs: number;
  readonly reason: string;
  /** The cluster refused in a way that may be temporary; the time counts from the first of several consecutive refusals. */
  readonly refused: boolean;
}

/**
 * Returns a claimed run to the queue, to be retried after `delayMs`, with the reason. If a cancel was requested meanwhile, the
 * run is due immediately.
 *
 * @returns undefined if the run belongs to another process by now, or needs nothing more; `messageChanged`: its message needs an
 * update because the run now waits to be submitted or stopped; `dueNow`: it is due immediately
 */
export async function postponeRun(
  db: Queryable,
  run: ClaimedRun,
  { delayMs, reason, refused }: Postponement,
): Promise<{ readonly messageChanged: boolean; readonly dueNow: boolean } | undefined> {
  const { rows } = await db.query<{ readonly messageChanged: boolean; readonly dueNow: boolean }>({
    name: 'postpone-run',
    text: `WITH run AS (
        SELECT run_id, reason, state = 'queued' OR NOT $4 AND state IN ('submitted', 'running') AS waits FROM facteur.runs
        WHERE run_id = $1 AND claims = $5 FOR NO KEY UPDATE
      ), postponed AS (
        UPDATE facteur.open_runs SET claimed_until = NULL,
          due_at = now() + make_interval(secs => CASE WHEN line = 'stop' AND $4 THEN 0 ELSE $2::float8 END)
        FROM run WHERE open_runs.run_id = run.run_id AND due_at IS NOT NULL
        RETURNING run.run_id, waits, waits AND reason = '' AND $3 <> '' AS is_news, open_runs.due_at <= now() AS "dueNow"
      ), explained AS (
        UPDATE facteur.runs SET updated_at = now(), revision = revision + is_news::int,
          reason = CASE WHEN waits THEN $3 ELSE reason END,
          refused_since = CASE WHEN $6 THEN coalesce(refused_since, now()) END
        FROM postponed WHERE runs.run_id = postponed.run_id
      ), changed AS (
        SELECT run_id FROM postponed WHERE is_news
      ), message AS (${changeMessages('changed')})
      SELECT "dueNow", EXISTS (SELECT FROM message) AS "messageChanged" FROM postponed`,
    values: [run.runId, delayMs / 1000, reason, run.cancelRequestedBy === '', run.fence, refused],
  });
  return rows[0];
}

/**
 * The run needs nothing more for now: its workflow was told to stop, or is gone.
 *
 * @returns whether its message needs an update because it says why that took so long
 */
export async function settleRun(db: Queryable, run: ClaimedRun): Promise<boolean> {
  const { rows } = await db.query<{ readonly messageChanged: boolean }>({
    name: 'settle-run',
    text: `WITH run AS (
        SELECT run_id, state IN ('submitted', 'running') AS is_live FROM facteur.runs
        WHERE run_id = $1 AND state <> 'queued' AND claims = $2 FOR NO KEY UPDATE
      ), closed AS (
        DELETE FROM facteur.open_runs USING run WHERE open_runs.run_id = run.run_id AND NOT is_live
      ), settled AS (
        UPDATE facteur.open_runs SET due_at = NULL, claimed_until = NULL FROM run WHERE open_runs.run_id = run.run_id AND is_live
      ), explained AS (
        UPDATE facteur.runs SET reason = '', revision = revision + 1, updated_at = now()
        FROM run WHERE runs.run_id = run.run_id AND is_live AND reason <> ''
        RETURNING runs.run_id
      ), message AS (${changeMessages('explained')})
      SELECT EXISTS (SELECT FROM message) AS "messageChanged"`,
    values: [run.runId, run.fence],
  });
  return rows[0]?.messageChanged === true;
}

/**
 * Renews the claim on a queued run, for an attempt that took long before its create.
 *
 * @returns false if the run is no longer queued, or another process owns it and continued with it
 */
export async function renewClaim(db: Queryable, run: ClaimedRun): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'renew-claim',
    text: `WITH run AS (
        SELECT run_id FROM facteur.runs WHERE run_id = $1 AND claims = $2 AND state = 'queued' FOR NO KEY UPDATE
      )
      UPDATE facteur.open_runs SET due_at = now() + make_interval(secs => $3), claimed_until = now() + make_interval(secs => $3)
      FROM run WHERE open_runs.run_id = run.run_id RETURNING run.run_id`,
    values: [run.runId, run.fence, CLAIM_SECONDS],
  });
  return rowCount === 1;
}

/**
 * Reserves another name for a claimed run whose name belongs to a foreign object, and renews the claim for the next attempt.
 *
 * @returns false if the run is no longer queued, or another process owns it and continued with it
 */
export async function renameRun(db: Queryable, run: ClaimedRun, newName: string): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'rename-run',
    text: `WITH renamed AS (
        UPDATE facteur.runs SET workflow_name = $3, updated_at = now(),
          correlation_id = CASE correlation_id WHEN workflow_name THEN $3 ELSE correlation_id END
        WHERE run_id = $1 AND claims = $2 AND state = 'queued'
        RETURNING run_id
      ), taken AS (
        UPDATE facteur.open_runs SET due_at = now() + make_interval(secs => $4), claimed_until = now() + make_interval(secs => $4)
        FROM renamed WHERE open_runs.run_id = renamed.run_id
      ), shared AS (
        UPDATE codex_kb.task_runs SET external_run_id = $3, updated_at = now() FROM renamed WHERE id = run_id
      )
      SELECT run_id FROM renamed`,
    values: [run.runId, run.fence, newName, CLAIM_SECONDS],
  });
  return rowCount === 1;
}
