import type { Queryable } from '../clients/postgres/database.ts';
import { CANCELED, TIMEOUT_ACTOR } from '../domain/approval.ts';
import type { Verdict } from '../domain/approval-rules.ts';
import { ASK_AGAIN } from './approvals.ts';
import { changeMessages } from './messages.ts';
import { claimedOf, type ClaimRow } from './due-work.ts';

/**
 * How long one process owns a claimed decision, in seconds: longer than it takes to patch and read the workflow. Then another
 * process picks it up, even if the first is only slow: each write tests the node, so a decision is applied once.
 */
export const CLAIM_SECONDS = 15;

/** A decision to apply to its workflow, claimed by this process for a while. */
export interface ClaimedDecision {
  readonly runId: string;
  readonly key: string;
  /** The fence: a late process finds a different number in the row, and can settle nothing. */
  readonly fence: number;
  readonly namespace: string;
  readonly workflowName: string;
  readonly workflowUid: string;
  readonly command: string;
  readonly traceparent: string;
  readonly nodeId: string;
  readonly node: string;
  readonly startedAt: string;
  readonly verdict: Verdict;
  readonly decidedBy: string;
  readonly decidedAt: Date;
  readonly requestedAt: Date;
  readonly reason: string;
  readonly outputs: Readonly<Record<string, string>>;
  /**
   * Its run was canceled after a write had begun. It is not written again, and only the workflow shows whether the write
   * succeeded.
   */
  readonly dropped: boolean;
  /** Number of attempts, including this one. */
  readonly attempts: number;
}

interface ClaimedDecisions {
  readonly decisions: readonly ClaimedDecision[];
  /** Milliseconds until the next decision is due; undefined if none is. */
  readonly nextInMs: number | undefined;
}

/**
 * Claims decisions to apply. An approval that expired is decided here, by its own rules and the database's clock. Runs are not
 * locked, because the lock order would differ from everywhere else.
 */
const CLAIM = `
WITH due AS (
  SELECT run_id, key, state = 'waiting' AS expired FROM facteur.approvals WHERE due_at <= now()
  ORDER BY due_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
  UPDATE facteur.approvals AS a SET claims = a.claims + 1, attempts = a.attempts + 1, state = 'deciding',
    due_at = now() + make_interval(secs => $2),
    verdict = CASE WHEN NOT expired THEN a.verdict WHEN a.rules->>'onTimeout' = 'approve' THEN 'approved' ELSE 'rejected' END,
    decided_by = CASE WHEN expired THEN $3 ELSE a.decided_by END,
    decided_at = CASE WHEN expired THEN now() ELSE a.decided_at END,
    reason = CASE WHEN expired THEN 'timed out' ELSE a.reason END,
    outputs = CASE WHEN expired THEN a.rules->'timeoutOutputs' ELSE a.outputs END
  FROM due JOIN facteur.runs AS runs ON runs.run_id = due.run_id
  WHERE a.run_id = due.run_id AND a.key = due.key
  RETURNING a.run_id AS "runId", a.key, a.claims AS fence, runs.namespace, runs.workflow_name AS "workflowName",
    a.workflow_uid AS "workflowUid", runs.command, runs.traceparent, a.node_id AS "nodeId", a.node,
    a.started_at AS "startedAt", a.verdict, a.decided_by AS "decidedBy", a.decided_at AS "decidedAt",
    a.requested_at AS "requestedAt", a.reason, a.outputs, a.attempts,
    runs.cancel_requested_by IS NOT NULL AND NOT a.on_exit AS dropped, expired
), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT "runId", 'approval.expired', $3, jsonb_build_object('node', node, 'key', key, 'verdict', verdict)
  FROM claimed JOIN codex_kb.task_runs ON task_runs.id = "runId" WHERE expired
), next AS (
  SELECT (extract(epoch FROM min(due_at) - now()) * 1000)::float8 AS "nextInMs" FROM facteur.approvals WHERE due_at > now()
)
SELECT next.*, claimed.* FROM next LEFT JOIN claimed ON true`;

/** Claims up to `limit` decisions, the longest due first; other processes skip them until the claim expires. */
export async function claimDueDecisions(db: Queryable, limit: number): Promise<ClaimedDecisions> {
  const { rows } = await db.query<ClaimRow<ClaimedDecision>>({
    name: 'claim-due-decisions',
    text: CLAIM,
    values: [limit, CLAIM_SECONDS, TIMEOUT_ACTOR],
  });
  const { claimed: decisions, nextInMs } = claimedOf(rows);
  return { decisions, nextInMs };
}

/** The result of a claimed decision. */
export type Settlement =
  /** The decision is in the workflow. */
  | { readonly kind: 'applied' }
  /** The node no longer waits, for another reason. */
  | { readonly kind: 'gone'; readonly reason: string }
  /** The decision will be retried after this delay. */
  | { readonly kind: 'postponed'; readonly reason: string; readonly delayMs: number };

/**
 * A decision that was applied before the cluster was restored from a backup, and is written again, stays applied: its step may
 * have ended or been retried.
 */
const SETTLE = `
WITH run AS (
  SELECT run_id FROM facteur.runs WHERE run_id = $1 FOR NO KEY UPDATE
), before AS MATERIALIZED (
  SELECT problem FROM facteur.approvals WHERE run_id = $1 AND key = $2
), settled AS (
  UPDATE facteur.approvals AS a SET
    problem = CASE WHEN $4 = 'postponed' AND a.problem = $7 THEN a.problem WHEN $4 = 'gone' AND a.applied_at IS NOT NULL THEN '' ELSE $5 END,
    state = CASE WHEN $4 = 'postponed' THEN a.state WHEN $4 = 'gone' AND a.applied_at IS NULL THEN 'gone' ELSE a.verdict END,
    applied_at = coalesce(a.applied_at, CASE WHEN $4 = 'applied' THEN now() END),
    ask_at = CASE WHEN $4 = 'postponed' THEN a.ask_at ELSE ${ASK_AGAIN} END,
    due_at = CASE WHEN $4 = 'postponed' THEN now() + make_interval(secs => $6) END
  FROM run WHERE a.run_id = run.run_id AND a.key = $2 AND a.claims = $3 AND a.state = 'deciding'
  RETURNING a.run_id, a.key, a.node, a.verdict
), changed AS (
  SELECT run_id FROM settled, before WHERE $4 <> 'postponed' OR before.problem = ''
), bumped AS (
  UPDATE facteur.runs SET revision = revision + 1, updated_at = now() FROM changed WHERE runs.run_id = changed.run_id
  RETURNING runs.run_id
), message AS (${changeMessages('bumped')}), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT run_id, 'approval.' || $4, 'facteur',
    jsonb_strip_nulls(jsonb_build_object('node', node, 'key', key, 'verdict', verdict, 'reason', nullif($5, '')))
  FROM settled JOIN codex_kb.task_runs ON task_runs.id = run_id WHERE $4 <> 'postponed'
)
SELECT EXISTS (SELECT FROM message) AS "messageChanged" FROM settled`;

/**
 * Releases a claimed decision. A decision that reached its workflow counts even if its run was canceled since.
 *
 * @returns undefined if another process owns it by now
 */
export async function settleDecision(
  db: Queryable,
  { runId, key, fence }: ClaimedDecision,
  settlement: Settlement,
): Promise<{ readonly messageChanged: boolean } | undefined> {
  const { rows } = await db.query<{ readonly messageChanged: boolean }>({
    name: 'settle-decision',
    text: SETTLE,
    values: [
      runId,
      key,
      fence,
      settlement.kind,
      settlement.kind === 'applied' ? '' : settlement.reason,
      settlement.kind === 'postponed' ? settlement.delayMs / 1000 : null,
      CANCELED,
    ],
  });
  return rows[0];
}
