-- no-transaction
-- What changed lately, for those who watch all runs.
DROP INDEX CONCURRENTLY IF EXISTS facteur.runs_changed;
CREATE INDEX CONCURRENTLY runs_changed ON facteur.runs (updated_at, run_id);
