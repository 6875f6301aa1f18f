-- no-transaction
-- A run is written four times on its way, and each version is a whole row. A large plan, which never changes, goes out of
-- line, so that a move copies a pointer. Room is left on each page: for a version on the page of the one before, the log
-- holds only what differs.
ALTER TABLE facteur.runs SET (toast_tuple_target = 768, fillfactor = 75);
ALTER TABLE codex_kb.task_runs SET (fillfactor = 85);
ALTER TABLE codex_kb.tasks SET (fillfactor = 85);

-- What changed lately: ranges of pages suffice, since few have changed lately. From PostgreSQL 16 on, a change of
-- `updated_at` alone writes to no other index.
DROP INDEX CONCURRENTLY IF EXISTS facteur.runs_updated;
CREATE INDEX CONCURRENTLY runs_updated ON facteur.runs USING brin (updated_at) WITH (pages_per_range = 16, autosummarize = on);
DROP INDEX CONCURRENTLY IF EXISTS facteur.runs_changed;

-- Finished runs that are still whole, by a time that never changes.
DROP INDEX CONCURRENTLY IF EXISTS facteur.runs_whole;
CREATE INDEX CONCURRENTLY runs_whole ON facteur.runs (accepted_at, run_id)
  WHERE plan IS NOT NULL AND state NOT IN ('queued', 'submitted', 'running');
DROP INDEX CONCURRENTLY IF EXISTS facteur.runs_to_archive;
