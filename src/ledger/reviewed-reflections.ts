import type { Queryable } from '../clients/postgres/database.ts';
import { isFinished, RUN_STATES, type RunState } from '../domain/run-state.ts';
import { changeMessages } from './messages.ts';
import type { ReflectionState } from './search-reflections.ts';

/** A reflection of a run, as shown to the reviewer. */
export interface ReviewedReflection {
  readonly reflectionId: string;
  readonly runId: string;
  readonly command: string;
  readonly runState: RunState;
  readonly type: string;
  readonly content: string;
  /** In lowercase; empty if its run has none. */
  readonly repository: string;
  readonly state: ReflectionState;
  /** Who decided about it; empty if nobody did. */
  readonly decidedBy: string;
  /** When its state or text last changed. */
  readonly changedAt: Date;
  /** The same time in microseconds: it ties a decision to this version of the text. */
  readonly version: number;
  /** The number of the run's reflections that wait for a decision. */
  readonly waiting: number;
}

/** The version of a reflection, from its row of `facteur.reflection_standing`. */
export const VERSION = '(extract(epoch FROM s.updated_at) * 1000000)::bigint';

/**
 * A reflection of a run: the given one, otherwise the oldest that waits for a decision, otherwise the last one that was decided.
 */
export async function findReviewed(
  db: Queryable,
  runId: string,
  reflectionId?: string,
): Promise<ReviewedReflection | undefined> {
  const { rows } = await db.query<ReviewedReflection>({
    name: 'find-reviewed',
    text: `SELECT r.id AS "reflectionId", r.task_run_id AS "runId", f.command, f.state AS "runState", r.reflection_type AS type,
        r.content, s.repository, s.state, s.decided_by AS "decidedBy", s.updated_at AS "changedAt", ${VERSION}::float8 AS version,
        (SELECT count(*)::int FROM codex_kb.reflections o JOIN facteur.reflection_standing w ON w.reflection_id = o.id
          WHERE o.task_run_id = $1 AND w.state = 'quarantined') AS waiting
      FROM codex_kb.reflections r JOIN facteur.reflection_standing s ON s.reflection_id = r.id
        JOIN facteur.runs f ON f.run_id = r.task_run_id
      WHERE r.task_run_id = $1 AND ($2::uuid IS NULL OR r.id = $2)
      ORDER BY s.state = 'quarantined' DESC, CASE s.state WHEN 'quarantined' THEN r.created_at END, s.updated_at DESC, r.id
      LIMIT 1`,
    values: [runId, reflectionId ?? null],
  });
  return rows[0];
}

const ENDED = RUN_STATES.filter(isFinished);

/**
 * Makes the message of an ended run due, to show whether reflections of the run wait for a decision. A message that can no longer
 * be changed stays as it is.
 *
 * @returns whether there is such a message
 */
export async function showWaiting(db: Queryable, runId: string): Promise<boolean> {
  const { rows } = await db.query({
    name: 'show-waiting-reflections',
    text: `WITH bumped AS (
        UPDATE facteur.runs SET revision = revision + 1, updated_at = now()
        WHERE run_id = $1 AND state = ANY($2) AND EXISTS (SELECT FROM facteur.messages AS shown WHERE shown.run_id = runs.run_id
          AND (NOT shown.ephemeral OR shown.created_at > now() - interval '14 minutes'))
        RETURNING run_id
      ), message AS (${changeMessages('bumped')})
      SELECT run_id FROM message`,
    values: [runId, ENDED],
  });
  return rows.length > 0;
}
