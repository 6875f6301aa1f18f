import type { Database, Queryable, Result } from '../clients/postgres/database.ts';

/** A position in a scan over old rows. */
export interface Place {
  /** As printed by Postgres: a JavaScript date would lose the microseconds. */
  readonly at: string;
  readonly id: string;
}

interface ArchivedBatch {
  /** Number of runs that were checked. */
  readonly seen: number;
  /** Number of runs moved to the history. The others have reflections or artifacts that would be lost. */
  readonly archived: number;
  /** Where to continue, or undefined at the end. */
  readonly next: Place | undefined;
}

/** Runs that may be archived, oldest first, after a position. */
const OLD_RUNS = `SELECT run_id, accepted_at FROM facteur.runs JOIN codex_kb.task_runs t ON t.id = run_id
  WHERE plan IS NOT NULL AND state NOT IN ('queued', 'submitted', 'running')
    AND accepted_at < now() - make_interval(secs => $1) AND runs.updated_at < now() - make_interval(secs => $1)
    AND (accepted_at, run_id) > ($2::timestamptz, $3::uuid)
  ORDER BY accepted_at, run_id LIMIT $4`;

/** Whether the run `t` has nothing that others learn from. */
const FORGETTABLE = `NOT EXISTS (SELECT FROM codex_kb.reflections WHERE task_run_id = t.id)
  AND NOT EXISTS (SELECT FROM codex_kb.artifacts WHERE task_run_id = t.id AND artifact_type <> 'retrieval_decision_log')`;

/** Runs that are being moved or reported about are left for the next time. */
const LOCK = `SELECT array_agg(run_id) AS ids FROM (${OLD_RUNS} FOR UPDATE OF runs, t SKIP LOCKED) old`;

/** How many runs were checked, and the last of them. */
const LOOKED_AT = `(SELECT count(*)::int FROM old) AS seen, (SELECT jsonb_build_object('at', accepted_at, 'id', run_id)
  FROM old ORDER BY accepted_at DESC, run_id DESC LIMIT 1) AS last`;

/**
 * The row, its events, checks and metrics go into one snapshot. `facteur.runs` keeps its row without the plan: a delivery that
 * comes again after years is still a duplicate. Runs with reflections or artifacts are not archived, because these refer to the
 * row and later runs learn from them. The log of a retrieval, which every run may have, goes into the snapshot, and
 * `facteur.retrievals` keeps which reflections the run received.
 */
const ARCHIVE = `
WITH old AS (
  SELECT run_id, accepted_at FROM facteur.runs WHERE run_id = ANY ($1::uuid[])
), forgettable AS (
  SELECT t.*, r.runs_row FROM old
    JOIN codex_kb.task_runs t ON t.id = old.run_id
    CROSS JOIN LATERAL (SELECT to_jsonb(f) - 'plan' AS runs_row FROM facteur.runs f WHERE f.run_id = old.run_id) r
  WHERE ${FORGETTABLE}
), kept AS (
  INSERT INTO codex_kb.task_runs_history (archived_run_id, task_id, snapshot)
  SELECT f.id, f.task_id, jsonb_build_object(
    'run', to_jsonb(f) - 'runs_row',
    'facteur', f.runs_row,
    'events', (SELECT coalesce(jsonb_agg(to_jsonb(e) ORDER BY e.id), '[]') FROM codex_kb.run_events e WHERE e.task_run_id = f.id),
    'retrieval', (SELECT a.metadata FROM codex_kb.artifacts a WHERE a.task_run_id = f.id LIMIT 1),
    'checks', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.created_at, c.id), '[]') FROM codex_kb.policy_checks c WHERE c.task_run_id = f.id),
    'metrics', (SELECT to_jsonb(m) FROM codex_kb.run_metrics m WHERE m.task_run_id = f.id))
  FROM forgettable f
  ON CONFLICT (archived_run_id) DO NOTHING
  RETURNING archived_run_id
), gone AS (
  DELETE FROM codex_kb.task_runs WHERE id IN (SELECT archived_run_id FROM kept) RETURNING id
), slim AS (
  UPDATE facteur.runs SET plan = NULL WHERE run_id IN (SELECT id FROM gone) RETURNING run_id
), received AS (
  UPDATE facteur.retrievals SET composition = NULL WHERE run_id IN (SELECT id FROM gone)
), unsaid AS (
  DELETE FROM facteur.messages WHERE run_id IN (SELECT id FROM gone)
)
SELECT ${LOOKED_AT}, (SELECT count(*)::int FROM slim) AS archived`;

/** Counts what {@link ARCHIVE} would do. */
const COUNT = `
WITH old AS (
  ${OLD_RUNS}
)
SELECT ${LOOKED_AT}, (SELECT count(*)::int FROM old JOIN codex_kb.task_runs t ON t.id = old.run_id WHERE ${FORGETTABLE}) AS archived`;

const START: Place = { at: '-infinity', id: '00000000-0000-0000-0000-000000000000' };

/** A batch of old rows after a position. */
interface OldBatch {
  readonly olderThanSeconds: number;
  readonly limit: number;
  /** Where the previous batch ended. */
  readonly after?: Place | undefined;
}

/**
 * Moves a batch of finished runs that have not changed for this long to `task_runs_history`. A separate statement locks the runs,
 * so the one that moves them sees all reports written before the lock.
 */
export function archiveRuns(db: Pick<Database, 'transaction'>, batch: OldBatch): Promise<ArchivedBatch> {
  return db.transaction(async (tx) => {
    const lock = { name: 'lock-archivable', text: LOCK, values: valuesOf(batch) };
    const { rows } = await tx.query<{ readonly ids: readonly string[] | null }>(lock);
    const values = [rows[0]?.ids ?? []];
    return batchOf(await tx.query<Walked>({ name: 'archive-runs', text: ARCHIVE, values }), batch);
  });
}

/** Counts what {@link archiveRuns} would do. */
export async function countArchivable(db: Queryable, batch: OldBatch): Promise<ArchivedBatch> {
  return batchOf(await db.query<Walked>({ name: 'count-archivable', text: COUNT, values: valuesOf(batch) }), batch);
}

function valuesOf({ olderThanSeconds, limit, after = START }: OldBatch): readonly unknown[] {
  return [olderThanSeconds, after.at, after.id, limit];
}

interface Walked {
  readonly seen: number;
  readonly archived: number;
  readonly last: Place | null;
}

function batchOf({ rows }: Pick<Result<Walked>, 'rows'>, { limit }: OldBatch): ArchivedBatch {
  const { seen, archived, last } = rows[0] ?? { seen: 0, archived: 0, last: null };
  return { seen, archived, next: seen < limit ? undefined : (last ?? undefined) };
}

/** Rows that lose their value with age and are then deleted. */
export type Prunable = 'settledDeadLetters' | 'deadLetters' | 'refusals';

/** In this order: settled dead letters first. Each table is scanned by an indexed time. */
const OLD: Readonly<Record<Prunable, { readonly table: string; readonly at: string; readonly also?: string }>> = {
  settledDeadLetters: { table: 'facteur.dead_letters', at: 'settled_at' },
  deadLetters: { table: 'facteur.dead_letters', at: 'created_at', also: 'AND settled_at IS NULL' },
  refusals: { table: 'facteur.refusals', at: 'created_at' },
};

export const PRUNABLE = Object.keys(OLD) as readonly Prunable[];

/** Deletes one batch of old rows. @returns the number of rows: fewer than `limit` if none are left */
export async function prune(
  db: Queryable,
  what: Prunable,
  { olderThanSeconds, limit }: Omit<OldBatch, 'after'>,
): Promise<number> {
  const { table, at, also = '' } = OLD[what];
  const { rowCount } = await db.query({
    name: `prune-${what}`,
    // As an array, so the rows are chosen once: a join may choose again, and find others.
    text: `DELETE FROM ${table} WHERE id = ANY (ARRAY(
        SELECT id FROM ${table} WHERE ${at} < now() - make_interval(secs => $1) ${also}
        ORDER BY ${at} LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    values: [olderThanSeconds, limit],
  });
  return rowCount;
}

/** How many rows {@link prune} would delete, in one batch, and where to continue: undefined at the end. */
export async function countPrunable(
  db: Queryable,
  what: Prunable,
  { olderThanSeconds, limit, after = { at: '-infinity', id: '0' } }: OldBatch,
): Promise<{ readonly seen: number; readonly next: Place | undefined }> {
  const { table, at, also = '' } = OLD[what];
  const { rows } = await db.query<{ readonly seen: number; readonly last: Place | null }>({
    name: `count-${what}`,
    text: `WITH old AS (
        SELECT id, ${at} AS at FROM ${table} WHERE ${at} < now() - make_interval(secs => $1) ${also}
          AND (${at}, id) > ($3::timestamptz, $4::bigint)
        ORDER BY ${at}, id LIMIT $2
      )
      SELECT count(*)::int AS seen,
        (SELECT jsonb_build_object('at', at, 'id', id::text) FROM old ORDER BY at DESC, id DESC LIMIT 1) AS last FROM old`,
    values: [olderThanSeconds, limit, after.at, after.id],
  });
  const { seen, last } = rows[0] ?? { seen: 0, last: null };
  return { seen, next: seen < limit ? undefined : (last ?? undefined) };
}
