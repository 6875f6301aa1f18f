import type { Queryable } from '../clients/postgres/database.ts';
import type { NewRun } from '../domain/run.ts';
import type { RunState } from '../domain/run-state.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';

/** What a run was recorded with, to be recorded once more. */
export type RecordedRun = Omit<NewRun, 'state' | 'acceptedAt' | 'message'> & {
  readonly runId: string;
  readonly state: RunState;
  readonly message: NewRun['message'] | undefined;
};

interface Row {
  readonly run_id: string;
  readonly delivery_id: string;
  readonly kind: NewRun['kind'];
  readonly command: string;
  readonly door: string;
  readonly state: RunState;
  readonly plan: WorkflowPlan | null;
  readonly correlation_id: string;
  readonly traceparent: string;
  readonly user_id: string;
  readonly guild_id: string;
  readonly channel_id: string;
  readonly source_type: string;
  readonly source_ref: string;
  readonly status: string;
  readonly payload: unknown;
  readonly stage: string;
  readonly task_metadata: unknown;
  readonly run_metadata: unknown;
  readonly interaction_id: string | null;
  readonly ephemeral: boolean | null;
}

/** A run with everything that recording it took, or nothing when it does not exist or was archived. */
export async function findForRetry(db: Queryable, runId: string): Promise<RecordedRun | undefined> {
  const { rows } = await db.query<Row>({
    name: 'find-for-retry',
    text: `SELECT r.run_id, r.delivery_id, r.kind, r.command, r.door, r.state, r.plan, r.correlation_id, r.traceparent,
        r.user_id, r.guild_id, r.channel_id, i.source_type, i.source_ref, i.status, i.payload, t.stage,
        t.metadata AS task_metadata, tr.metadata AS run_metadata, m.interaction_id, m.ephemeral
      FROM facteur.runs r
        JOIN codex_kb.task_runs tr ON tr.id = r.run_id
        JOIN codex_kb.tasks t ON t.id = tr.task_id
        JOIN codex_kb.ideas i ON i.id = t.idea_id
        LEFT JOIN facteur.messages m ON m.run_id = r.run_id
      WHERE r.run_id = $1 AND r.plan IS NOT NULL`,
    values: [runId],
  });
  const row = rows[0];
  return row === undefined || row.plan === null ? undefined : toRecordedRun(row, row.plan);
}

function toRecordedRun(row: Row, plan: WorkflowPlan): RecordedRun {
  return {
    runId: row.run_id,
    deliveryId: row.delivery_id,
    kind: row.kind,
    command: row.command,
    door: row.door,
    state: row.state,
    correlationId: row.correlation_id,
    traceparent: row.traceparent,
    userId: row.user_id,
    guildId: row.guild_id,
    channelId: row.channel_id,
    plan,
    idea: { sourceType: row.source_type, sourceRef: row.source_ref, status: row.status, payload: row.payload },
    task: { stage: row.stage, metadata: row.task_metadata },
    runMetadata: row.run_metadata,
    message:
      row.interaction_id === null
        ? undefined
        : { interactionId: row.interaction_id, ephemeral: row.ephemeral === true },
  };
}
