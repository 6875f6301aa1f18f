import type { Queryable } from '../clients/postgres/database.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';
import { CLAIM_SECONDS } from './record-run.ts';

/** A run whose turn it is to be created in the cluster, claimed for this process for a while. */
export interface ClaimedRun {
  readonly runId: string;
  readonly deliveryId: string;
  readonly workflowName: string;
  readonly traceparent: string;
  readonly acceptedAt: Date;
  /** Tries so far, this one included. */
  readonly attempts: number;
  readonly plan: WorkflowPlan;
}

interface ClaimedRow {
  readonly run_id: string;
  readonly delivery_id: string;
  readonly workflow_name: string;
  readonly traceparent: string;
  readonly accepted_at: Date;
  readonly attempts: number;
  readonly plan: WorkflowPlan;
}

/** Takes up to `limit` due runs, oldest first; other processes skip them until the claim runs out. */
export async function claimDueRuns(db: Queryable, limit: number): Promise<ClaimedRun[]> {
  const { rows } = await db.query<ClaimedRow>({
    name: 'claim-due-runs',
    text: `
      UPDATE facteur.runs SET attempts = attempts + 1, due_at = now() + make_interval(secs => $2)
      WHERE run_id IN (
        SELECT run_id FROM facteur.runs WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
      RETURNING run_id, delivery_id, workflow_name, traceparent, accepted_at, attempts, plan`,
    values: [limit, CLAIM_SECONDS],
  });
  return rows.map((row) => ({
    runId: row.run_id,
    deliveryId: row.delivery_id,
    workflowName: row.workflow_name,
    traceparent: row.traceparent,
    acceptedAt: row.accepted_at,
    attempts: row.attempts,
    plan: row.plan,
  }));
}

/** Puts a claimed run back, to be tried again after `delayMs`, with the reason why it did not work yet. */
export async function postponeRun(db: Queryable, runId: string, delayMs: number, reason: string): Promise<void> {
  await db.query({
    name: 'postpone-run',
    text: `UPDATE facteur.runs SET due_at = now() + make_interval(secs => $2), reason = $3, updated_at = now()
      WHERE run_id = $1 AND state = 'queued'`,
    values: [runId, delayMs / 1000, reason],
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
