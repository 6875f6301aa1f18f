import type { Queryable } from '../clients/postgres/database.ts';

/** Where a walk over old runs has got to. */
export interface ArchiveCursor {
  /** As Postgres writes it: a JavaScript date would lose the microseconds. */
  readonly acceptedAt: string;
  readonly runId: string;
}

interface ArchivedBatch {
  /** Runs looked at. */
  readonly seen: number;
  /** Runs moved to the history; the others have taught something that would go with them. */
  readonly archived: number;
  /** Where to continue, or undefined at the end. */
  readonly next: ArchiveCursor | undefined;
}

/**
 * The row, its events and its metrics go into one snapshot. `facteur.runs` keeps its row, less the plan: a delivery that
 * comes again after years is still a duplicate. Runs with reflections or artifacts stay whole, because these hang on the
 * row and are what later runs learn from; the log of a retrieval, which every run may have, goes into the snapshot, and
 * `facteur.retrievals` keeps which reflections the run received.
 */
const ARCHIVE = `
WITH old AS (
  SELECT run_id, accepted_at FROM facteur.runs
  WHERE plan IS NOT NULL AND state NOT IN ('queued', 'submitted', 'running')
    AND accepted_at < now() - make_interval(secs => $1) AND updated_at < now() - make_interval(secs => $1)
    AND (accepted_at, run_id) > ($2::timestamptz, $3::uuid)
  ORDER BY accepted_at, run_id LIMIT $4 FOR UPDATE SKIP LOCKED
), forgettable AS (
  SELECT t.*, r.runs_row FROM old
    JOIN codex_kb.task_runs t ON t.id = old.run_id
    CROSS JOIN LATERAL (SELECT to_jsonb(f) - 'plan' AS runs_row FROM facteur.runs f WHERE f.run_id = old.run_id) r
  WHERE NOT EXISTS (SELECT FROM codex_kb.reflections WHERE task_run_id = t.id)
    AND NOT EXISTS (SELECT FROM codex_kb.artifacts WHERE task_run_id = t.id AND artifact_type <> 'retrieval_decision_log')
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
SELECT (SELECT count(*)::int FROM old) AS seen, (SELECT count(*)::int FROM slim) AS archived,
  (SELECT jsonb_build_object('acceptedAt', accepted_at, 'runId', run_id) FROM old ORDER BY accepted_at DESC, run_id DESC LIMIT 1) AS last`;

const START: ArchiveCursor = { acceptedAt: '1970-01-01T00:00:00Z', runId: '00000000-0000-0000-0000-000000000000' };

/** Moves one batch of finished runs, untouched for `olderThanSeconds`, to `task_runs_history`: one statement. */
export async function archiveRuns(
  db: Queryable,
  olderThanSeconds: number,
  batch: number,
  after: ArchiveCursor = START,
): Promise<ArchivedBatch> {
  const { rows } = await db.query<{
    seen: number;
    archived: number;
    last: { acceptedAt: string; runId: string } | null;
  }>({
    name: 'archive-runs',
    text: ARCHIVE,
    values: [olderThanSeconds, after.acceptedAt, after.runId, batch],
  });
  const row = rows[0];
  if (row === undefined || row.last === null || row.seen < batch) {
    return { seen: row?.seen ?? 0, archived: row?.archived ?? 0, next: undefined };
  }
  return { ...row, next: row.last };
}

/** What {@link archiveRuns} would do in all: runs that would be moved, and runs that would be kept. */
export async function countArchivable(
  db: Queryable,
  olderThanSeconds: number,
): Promise<{ readonly archived: number; readonly kept: number }> {
  const { rows } = await db.query<{ readonly archived: number; readonly kept: number }>({
    name: 'count-archivable',
    text: `SELECT count(*) FILTER (WHERE NOT taught)::int AS archived, count(*) FILTER (WHERE taught)::int AS kept
      FROM facteur.runs CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM codex_kb.reflections WHERE task_run_id = run_id)
        OR EXISTS (SELECT FROM codex_kb.artifacts
          WHERE task_run_id = run_id AND artifact_type <> 'retrieval_decision_log') AS taught) AS held
      WHERE plan IS NOT NULL AND state NOT IN ('queued', 'submitted', 'running')
        AND accepted_at < now() - make_interval(secs => $1) AND updated_at < now() - make_interval(secs => $1)`,
    values: [olderThanSeconds],
  });
  return rows[0] ?? { archived: 0, kept: 0 };
}

/** What loses its worth with age and is deleted then. */
export type Prunable = 'settledDeadLetters' | 'deadLetters' | 'refusals';

/** In this order: settled dead letters first. `$1` is the age in seconds. */
const OLD: Readonly<Record<Prunable, readonly [table: string, condition: string]>> = {
  settledDeadLetters: ['facteur.dead_letters', 'settled_at < now() - make_interval(secs => $1)'],
  deadLetters: ['facteur.dead_letters', 'settled_at IS NULL AND created_at < now() - make_interval(secs => $1)'],
  refusals: ['facteur.refusals', 'created_at < now() - make_interval(secs => $1)'],
};

export const PRUNABLE = Object.keys(OLD) as readonly Prunable[];

/** Deletes one batch of older rows. @returns the number of rows: fewer than `batch` when none are left */
export async function prune(db: Queryable, what: Prunable, olderThanSeconds: number, batch: number): Promise<number> {
  const [table, condition] = OLD[what];
  const { rowCount } = await db.query({
    name: `prune-${what}`,
    text: `DELETE FROM ${table} WHERE id IN (
        SELECT id FROM ${table} WHERE ${condition} ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)`,
    values: [olderThanSeconds, batch],
  });
  return rowCount;
}

/** How many rows {@link prune} would delete in all. */
export async function countPrunable(db: Queryable, what: Prunable, olderThanSeconds: number): Promise<number> {
  const [table, condition] = OLD[what];
  const { rows } = await db.query<{ readonly count: number }>({
    name: `count-${what}`,
    text: `SELECT count(*)::int FROM ${table} WHERE ${condition}`,
    values: [olderThanSeconds],
  });
  return rows[0]?.count ?? 0;
}
