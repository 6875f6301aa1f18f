import type { Queryable } from '../clients/postgres/database.ts';
import type { RunState } from '../domain/run-state.ts';

/** What a run has come to, as far as its sender is told. */
export interface FoundSubmission {
  readonly state: RunState;
  readonly reason: string;
  readonly workflowName: string;
}

/** Where a run is by now, whichever process brought it there. */
export async function findSubmission(db: Queryable, runId: string): Promise<FoundSubmission | undefined> {
  const { rows } = await db.query<FoundSubmission>({
    name: 'find-submission',
    text: `SELECT state, reason, workflow_name AS "workflowName" FROM facteur.runs WHERE run_id = $1`,
    values: [runId],
  });
  return rows[0];
}
