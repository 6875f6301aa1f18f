/** Where a run waits that is due, but that nobody has submitted yet. */
export interface QueuePlace {
  /** Runs that are submitted before it: {@link MAX_AHEAD} + 1 for any higher number. */
  readonly ahead: number;
  /** Live workflows, as far as the limit on them; 0 without a limit. */
  readonly active: number;
  /** Why an earlier run, which keeps its place in the cluster, is not submitted; empty if none is held up. */
  readonly heldUp: string;
}

/** More are not counted, however many wait. */
export const MAX_AHEAD = 100;
/** A run that is submitted at once is due for some milliseconds, too. */
const PATIENCE = `interval '1 second'`;

const DUE_AT = `(SELECT due_at FROM facteur.open_runs WHERE open_runs.run_id = runs.run_id)`;

/**
 * Whether `runs` waits in line: due, and not yet attempted. A run that was attempted waits for its next attempt, for a
 * reason of its own.
 */
export const IN_LINE = `(runs.state = 'queued' AND runs.reason = '' AND runs.cancel_requested_by IS NULL AND ${DUE_AT} <= now()) IS TRUE`;

/**
 * The place of such a run, in the order in which `claimDueRuns` takes them; null if it is none, or for no more than a
 * moment. Only runs that wait are read, and as many of them as count: the first ones of an index.
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
