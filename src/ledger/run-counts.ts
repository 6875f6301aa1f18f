import { RUN_STATES, type RunState } from '../domain/run-state.ts';
import type { Queryable } from '../clients/postgres/database.ts';

/** Maximum number of runs that are read, the newest of the period. */
const COUNTED = 100_000;

interface RunCounts {
  /** Live runs of any age, and ended runs that were accepted in the period. */
  readonly counts: Readonly<Record<RunState, number>>;
  /** False if the period has more runs than are read. */
  readonly complete: boolean;
}

/** The number of runs in each state; bounded for any size of the ledger. */
export async function countRunsByState(db: Queryable, since: Date): Promise<RunCounts> {
  const { rows } = await db.query<{ state: RunState; count: number; seen: number }>({
    name: 'count-runs-by-state',
    text: `WITH recent AS (
        SELECT state FROM facteur.runs WHERE accepted_at >= $1 ORDER BY accepted_at DESC, run_id DESC LIMIT ${COUNTED + 1}
      ), live AS (
        SELECT state FROM facteur.open_runs JOIN facteur.runs USING (run_id)
        WHERE state IN ('queued', 'submitted', 'running') AND accepted_at < $1 LIMIT ${COUNTED}
      )
      SELECT state, count(*)::int AS count, (SELECT count(*)::int FROM recent) AS seen
      FROM (SELECT state FROM recent UNION ALL SELECT state FROM live) AS counted GROUP BY state`,
    values: [since],
  });
  const found = new Map(rows.map(({ state, count }) => [state, count]));
  const counts = Object.fromEntries(RUN_STATES.map((state) => [state, found.get(state) ?? 0]));
  return { counts: counts as Record<RunState, number>, complete: (rows[0]?.seen ?? 0) <= COUNTED };
}
