import type { Queryable } from '../clients/postgres/database.ts';
import { RUN_COLUMNS, type RunView } from './find-runs.ts';

/** A version of a run: the revision counts, and for equal revisions the time of the change. */
export interface RunVersion {
  readonly revision: number;
  /** The time of the change by the database's clock, in microseconds since 1970. */
  readonly changedAt: number;
}

/** A run after its latest change. */
export interface ChangedRun extends RunVersion {
  readonly run: RunView;
}

/** Where to start reading: at changes after this one, in the order of their times. */
interface ChangePosition {
  readonly changedAt: number;
  /** Empty to read all changes from that time on. */
  readonly runId: string;
}

interface ChangedRow extends RunView {
  readonly changedAt: string;
}

const MICROSECONDS = `extract(epoch FROM updated_at) * 1000000`;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** Whether a version of a run is new to a reader that has seen another version, or none. */
export function isNewer(version: RunVersion, seen: RunVersion | undefined): boolean {
  return (
    seen === undefined ||
    version.revision > seen.revision ||
    (version.revision === seen.revision && version.changedAt > seen.changedAt)
  );
}

/** Runs that changed after a position, each once in its current state, in the order of their changes. */
export async function listChangedRuns(db: Queryable, after: ChangePosition, limit: number): Promise<ChangedRun[]> {
  const { rows } = await db.query<ChangedRow>({
    name: 'list-changed-runs',
    text: `SELECT ${RUN_COLUMNS}, (${MICROSECONDS})::bigint AS "changedAt" FROM facteur.runs
      WHERE updated_at >= timestamptz 'epoch' + $1::bigint * interval '1 microsecond'
        AND (updated_at, run_id) > (timestamptz 'epoch' + $1::bigint * interval '1 microsecond', $2::uuid)
      ORDER BY updated_at, run_id LIMIT $3`,
    values: [after.changedAt, after.runId === '' ? FIRST_ID : after.runId, limit],
  });
  return rows.map(({ changedAt, ...run }) => ({ run, revision: run.revision, changedAt: Number(changedAt) }));
}

/** The time by the database's clock, in microseconds since 1970. */
export async function databaseTime(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ readonly now: string }>({
    name: 'database-time',
    text: 'SELECT (extract(epoch FROM now()) * 1000000)::bigint AS now',
  });
  return Number(rows[0]?.now);
}
