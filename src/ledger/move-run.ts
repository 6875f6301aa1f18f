import type { Queryable } from '../clients/postgres/database.ts';
import { statesBefore, type RunState } from '../domain/run-state.ts';

/** A move of one run to another state, and what became known with it. */
export interface RunMove {
  readonly runId: string;
  readonly to: RunState;
  /** Why, for states that need a reason; shown to the user. */
  readonly reason?: string;
  readonly workflowUid?: string;
  /** Who moved it: `facteur`, or the person who asked. */
  readonly actor?: string;
}

/**
 * One statement for the run, its task, its event and its revision. The `WHERE` is the state machine: a late or repeated
 * move matches no row and changes nothing. A task shows the state of its newest run only.
 */
const MOVE = `
WITH moved AS (
  UPDATE facteur.runs
  SET previous_state = state, state = $2, revision = revision + 1, updated_at = now(), claimed_until = NULL,
    due_at = CASE WHEN $2 = 'submitted' AND cancel_requested_by IS NOT NULL THEN now() END,
    reason = $4, workflow_uid = coalesce($5, workflow_uid),
    submitted_at = CASE $2 WHEN 'submitted' THEN now() ELSE submitted_at END
  WHERE run_id = $1 AND state = ANY($3::text[])
  RETURNING run_id, previous_state, state, workflow_name, reason, due_at
), run AS (
  UPDATE codex_kb.task_runs
  SET status = moved.state, updated_at = now(),
    external_run_id = CASE WHEN moved.previous_state = 'queued' AND moved.state <> 'submitted' THEN external_run_id ELSE moved.workflow_name END,
    error_code = CASE WHEN moved.reason = '' THEN NULL ELSE moved.state END
  FROM moved WHERE id = moved.run_id
  RETURNING id, task_id, created_at
), task AS (
  UPDATE codex_kb.tasks SET state = $2, updated_at = now()
  FROM run
  WHERE tasks.id = run.task_id AND NOT EXISTS (
    SELECT FROM codex_kb.task_runs newer WHERE newer.task_id = run.task_id AND newer.created_at > run.created_at)
), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT run.id, 'state.change', $6,
    jsonb_strip_nulls(jsonb_build_object('from', moved.previous_state, 'to', moved.state, 'reason', nullif(moved.reason, '')))
  FROM run, moved
), message AS (
  UPDATE facteur.messages SET due_at = greatest(now(), not_before) FROM moved WHERE messages.run_id = moved.run_id
  RETURNING messages.run_id
)
SELECT due_at IS NOT NULL AS due, EXISTS (SELECT FROM message) AS news FROM moved`;

/** What came of a move. */
export interface MoveResult {
  readonly moved: boolean;
  /** Somebody asked meanwhile for the run to be ended, which is now the submitter's to do. */
  readonly due: boolean;
  /** It has a message, which has something new to show. */
  readonly news: boolean;
}

/** Moves a run, or leaves it as it is when the state machine forbids the move from where the run is now. */
export async function moveRun(db: Queryable, move: RunMove): Promise<MoveResult> {
  const { rows } = await db.query<{ readonly due: boolean; readonly news: boolean }>({
    name: 'move-run',
    text: MOVE,
    values: [
      move.runId,
      move.to,
      statesBefore(move.to),
      move.reason ?? '',
      move.workflowUid ?? null,
      move.actor ?? 'facteur',
    ],
  });
  const [row] = rows;
  return { moved: row !== undefined, due: row?.due === true, news: row?.news === true };
}
