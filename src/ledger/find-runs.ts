import type { Queryable } from '../clients/postgres/database.ts';
import type { RunState } from '../domain/run-state.ts';

/** A run as a person looks at it. */
export interface RunView {
  readonly runId: string;
  readonly deliveryId: string;
  readonly kind: 'command' | 'codex';
  readonly command: string;
  readonly door: string;
  readonly state: RunState;
  readonly reason: string;
  readonly progress: string;
  readonly namespace: string;
  readonly workflowName: string;
  readonly workflowUid: string;
  readonly correlationId: string;
  readonly userId: string;
  readonly attempts: number;
  readonly retryCount: number;
  /** The run that this one tries again, or empty. */
  readonly retryOf: string;
  readonly cancelRequestedBy: string;
  readonly acceptedAt: Date;
  readonly submittedAt: Date | null;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

/** One thing that happened to a run. */
export interface RunEvent {
  readonly at: Date;
  readonly type: string;
  readonly actor: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

const COLUMNS = `run_id AS "runId", delivery_id AS "deliveryId", kind, command, door, state, reason, progress, namespace,
  workflow_name AS "workflowName", coalesce(workflow_uid, '') AS "workflowUid", correlation_id AS "correlationId",
  user_id AS "userId", attempts, retry_count AS "retryCount", coalesce(retry_of::text, '') AS "retryOf",
  coalesce(cancel_requested_by, '') AS "cancelRequestedBy", accepted_at AS "acceptedAt", submitted_at AS "submittedAt",
  started_at AS "startedAt", finished_at AS "finishedAt"`;

export interface RunFilter {
  readonly states?: readonly RunState[];
  readonly command?: string;
  readonly userId?: string;
  readonly limit: number;
  /** Only runs accepted before this one: the last of the page before. */
  readonly before?: { readonly acceptedAt: Date; readonly runId: string };
}

/** Runs, newest first. Without a name, so that each list is planned for what it asks: few states are as rare as others. */
export async function listRuns(db: Queryable, filter: RunFilter): Promise<RunView[]> {
  const { rows } = await db.query<RunView>({
    text: `SELECT ${COLUMNS} FROM facteur.runs
      WHERE ($1::text[] IS NULL OR state = ANY($1)) AND ($2::text IS NULL OR command = $2)
        AND ($3::text IS NULL OR (user_id = $3 AND user_id <> ''))
        AND ($4::timestamptz IS NULL OR (accepted_at, run_id) < ($4, $5::uuid))
      ORDER BY accepted_at DESC, run_id DESC LIMIT $6`,
    values: [
      filter.states ?? null,
      filter.command ?? null,
      filter.userId ?? null,
      filter.before?.acceptedAt ?? null,
      filter.before?.runId ?? null,
      filter.limit,
    ],
  });
  return rows;
}

/** The run that a person means by its id, its delivery id or its workflow's name; the newest where a name fits several. */
export async function findRun(db: Queryable, reference: string): Promise<RunView | undefined> {
  const { rows } = await db.query<RunView>({
    name: 'find-run',
    text: `SELECT ${COLUMNS} FROM facteur.runs WHERE run_id = (
        SELECT run_id FROM (
          SELECT run_id, 1 AS rank, accepted_at FROM facteur.runs WHERE run_id = $2::uuid
          UNION ALL SELECT run_id, 2, accepted_at FROM facteur.runs WHERE delivery_id = $1
          UNION ALL SELECT run_id, 3, accepted_at FROM facteur.runs WHERE workflow_name = $1
        ) found ORDER BY rank, accepted_at DESC LIMIT 1)`,
    values: [reference, isUuid(reference) ? reference : null],
  });
  return rows[0];
}

/** What happened to a run, oldest first; empty when it was archived. */
export async function listRunEvents(db: Queryable, runId: string): Promise<RunEvent[]> {
  const { rows } = await db.query<RunEvent>({
    name: 'list-run-events',
    text: `SELECT emitted_at AS at, event_type AS type, coalesce(actor, '') AS actor, payload
      FROM codex_kb.run_events WHERE task_run_id = $1 ORDER BY id`,
    values: [runId],
  });
  return rows;
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}
