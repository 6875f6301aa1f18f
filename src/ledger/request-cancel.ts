import type { Queryable } from '../clients/postgres/database.ts';
import type { RunState } from '../domain/run-state.ts';

/**
 * Asks for the end of a live run. A claimed one keeps its claim: whoever has it sees the request when the try is over.
 * The submitter does the rest, so that the request survives a crash and a cluster that is down.
 *
 * @returns the state that the run was in, and whether its message has something new to show; or nothing when there is no
 *   such run
 */
export async function requestCancel(
  db: Queryable,
  runId: string,
  actor: string,
): Promise<{ readonly state: RunState; readonly news: boolean } | undefined> {
  const { rows } = await db.query<{ readonly state: RunState; readonly news: boolean }>({
    name: 'request-cancel',
    text: `WITH asked AS (
        UPDATE facteur.runs SET cancel_requested_by = $2, revision = revision + 1, updated_at = now(),
          due_at = CASE WHEN claimed_until > now() THEN due_at ELSE now() END
        WHERE run_id = $1 AND state IN ('queued', 'submitted', 'running') AND cancel_requested_by IS NULL
        RETURNING run_id
      ), event AS (
        INSERT INTO codex_kb.run_events (task_run_id, event_type, actor) SELECT run_id, 'cancel.requested', $2 FROM asked
      ), message AS (
        UPDATE facteur.messages SET due_at = greatest(now(), not_before) FROM asked WHERE messages.run_id = asked.run_id
        RETURNING messages.run_id
      )
      SELECT state, EXISTS (SELECT FROM message) AS news FROM facteur.runs WHERE run_id = $1`,
    values: [runId, actor],
  });
  return rows[0];
}
