/** The position of a run that is due but has not been submitted yet. */
export interface QueuePlace {
  /** The number of runs that are submitted before it, or {@link MAX_AHEAD} + 1 if there are more. */
  readonly ahead: number;
  /** The number of live workflows, counted up to their limit; 0 without a limit. */
  readonly active: number;
  /** Why an earlier run, which keeps its place in the cluster, is not submitted; empty if none is held up. */
  readonly heldUp: string;
}

/** Runs are counted up to this number, however many wait. */
export const MAX_AHEAD = 100;
/** A run that is submitted immediately is also due for some milliseconds. */
const PATIENCE = `interval '1 second'`;

const DUE_AT = `(SELECT due_at FROM facteur.open_runs WHERE open_runs.run_id = runs.run_id)`;

/**
 * Whether `runs` waits in line: it is due and was not attempted yet. A run that was attempted waits for its next attempt, for a
 * reason of its own.
 */
export const IN_LINE = `(runs.state = 'queued' AND runs.reason = '' AND runs.cancel_requested_by IS NULL AND ${DUE_AT} <= now()) IS TRUE`;

/**
 * The position of such a run, in the order of `claimDueRuns`; null if it has none, or only for a moment. Reads only waiting runs,
 * and only as many as are counted: the first entries of an index.
 *
 * @param maxActive the parameter for the limit on live workflows
 */
export const queuePlace = (maxActive: string): string => `CASE WHEN ${IN_LINE} AND ${DUE_AT} < now() - ${PATIENCE} THEN
  jsonb_build_object('ahead', (
    SELECT count(*) FROM (SELECT FROM facteur.open_runs AS earlier
      WHERE earlier.due_at < ${DUE_AT} AND earlier.line <> 'stop' ORDER BY earlier.due_at LIMIT ${MAX_AHEAD + 1}) AS ahead
  ), 'active', (
    SELECT count(*) FROM (SELECT FROM facteur.open_runs WHERE in_cluster LIMIT coalesce(${maxActive}::int, 0)) AS live
  ), 'heldUp', coalesce((
    SELECT max(reason) FROM (SELECT run_id FROM facteur.open_runs
      WHERE due_at IS NOT NULL AND line = 'retry' ORDER BY due_at LIMIT ${MAX_AHEAD}) AS tried JOIN facteur.runs USING (run_id) WHERE state = 'queued'
  ), '')) END`;
