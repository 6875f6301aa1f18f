import type { Queryable } from '../clients/postgres/database.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';

/** A run that has a workflow in the cluster, as far as the ledger knows. */
export interface LiveRun {
  readonly namespace: string;
  readonly workflowName: string;
  /** Empty when the workflow was made and nobody has read its uid yet. */
  readonly workflowUid: string;
  readonly deliveryLabel: string;
  readonly state: 'submitted' | 'running';
}

export interface LiveRunsQuery {
  /** Of this namespace; of all by default. */
  readonly namespace?: string;
  /** Only those whose last change is at least this old, in milliseconds. */
  readonly unchangedForMs: number;
}

interface LiveRow {
  readonly namespace: string;
  readonly workflow_name: string;
  readonly workflow_uid: string | null;
  readonly delivery_id: string;
  readonly state: LiveRun['state'];
}

/** The live runs, in no order. */
export async function liveRuns(db: Queryable, query: LiveRunsQuery): Promise<LiveRun[]> {
  const { rows } = await db.query<LiveRow>({
    name: 'live-runs',
    text: `SELECT namespace, workflow_name, workflow_uid, delivery_id, state FROM facteur.runs
      WHERE state IN ('submitted', 'running') AND ($1::text IS NULL OR namespace = $1)
        AND updated_at <= now() - make_interval(secs => $2::float8 / 1000)`,
    values: [query.namespace ?? null, query.unchangedForMs],
  });
  return rows.map((row) => ({
    namespace: row.namespace,
    workflowName: row.workflow_name,
    workflowUid: row.workflow_uid ?? '',
    deliveryLabel: deliveryLabel(row.delivery_id),
    state: row.state,
  }));
}
