import type { Queryable } from '../clients/postgres/database.ts';

/** One recording of a delivery: told from an earlier one of the same delivery by its time. */
export interface Recording {
  readonly deliveryId: string;
  readonly acceptedAt: Date;
}

/**
 * Asks for the end of a run whose recording its sender was told had failed. Nobody works on it yet, so it is due at once.
 *
 * @returns the run's id, or nothing when this recording left none, or one that is over
 */
export async function withdrawRun(db: Queryable, recording: Recording, actor: string): Promise<string | undefined> {
  const { rows } = await db.query<{ readonly run_id: string }>({
    name: 'withdraw-run',
    text: `WITH asked AS (
        UPDATE facteur.runs SET cancel_requested_by = $3, updated_at = now(), due_at = now(), claimed_until = NULL
        WHERE delivery_id = $1 AND accepted_at = $2 AND state IN ('queued', 'submitted', 'running')
          AND cancel_requested_by IS NULL
        RETURNING run_id
      ), event AS (
        INSERT INTO codex_kb.run_events (task_run_id, event_type, actor) SELECT run_id, 'cancel.requested', $3 FROM asked
      )
      SELECT run_id FROM asked`,
    values: [recording.deliveryId, recording.acceptedAt, actor],
  });
  return rows[0]?.run_id;
}
