import type { Queryable } from '../clients/postgres/database.ts';
import { changeMessages } from './messages.ts';

/** The end of a run that is still queued. All later moves are observed in the cluster (`observe-workflows.ts`). */
export interface RunMove {
  readonly runId: string;
  readonly to: 'refused' | 'canceled';
  /** Why; shown to the user. */
  readonly reason: string;
  /** Applies only while the claim with this fence lasts: a late process changes nothing. */
  readonly fence: number;
  /** Who moved it: `facteur`, or the person who requested it. */
  readonly actor?: string;
}

/**
 * Updates the states of the tasks of the runs in `run`. A task shows the state of its newest run, or `queued` until that runs.
 */
export const MOVE_TASKS = `
  UPDATE codex_kb.tasks SET state = run.state, updated_at = now() FROM run
  WHERE tasks.id = run.task_id AND run.state <> 'submitted' AND NOT EXISTS (
    SELECT FROM codex_kb.task_runs newer WHERE newer.task_id = run.task_id AND newer.created_at > run.created_at)`;

/**
 * One statement for the run, its task, its event and its revision. A late or repeated move matches no row and changes
 * nothing.
 */
const MOVE = `
WITH moved AS (
  UPDATE facteur.runs
  SET previous_state = state, state = $2, revision = revision + 1, updated_at = now(), reason = $3
  WHERE run_id = $1 AND state = 'queued' AND claims = $5
  RETURNING run_id, previous_state, state, reason
), closed AS (
  DELETE FROM facteur.open_runs USING moved WHERE open_runs.run_id = moved.run_id
), run AS (
  UPDATE codex_kb.task_runs SET status = moved.state, updated_at = now(), error_code = moved.state, external_run_id = NULL
  FROM moved WHERE id = moved.run_id
  RETURNING id, task_id, created_at, status AS state
), task AS (${MOVE_TASKS}), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT run.id, 'state.change', $4,
    jsonb_strip_nulls(jsonb_build_object('from', moved.previous_state, 'to', moved.state, 'reason', nullif(moved.reason, '')))
  FROM run, moved
), message AS (${changeMessages('moved')})
SELECT EXISTS (SELECT FROM message) AS "messageChanged" FROM moved`;

/** The result of a move. */
interface MoveResult {
  readonly moved: boolean;
  /** It has a message that needs an update. */
  readonly messageChanged: boolean;
}

/** Ends a queued run, or changes nothing if it is in another state or owned by another process by now. */
export async function moveRun(db: Queryable, move: RunMove): Promise<MoveResult> {
  const { rows } = await db.query<{ readonly messageChanged: boolean }>({
    name: 'move-run',
    text: MOVE,
    values: [move.runId, move.to, move.reason, move.actor ?? 'facteur', move.fence],
  });
  const [row] = rows;
  return { moved: row !== undefined, messageChanged: row?.messageChanged === true };
}
