-- no-transaction
-- Search by likeness: the ivfflat index took its 100 lists from an empty table, so they fit no data that came later.
-- HNSW needs no data to begin with. Built beside the running service (CONCURRENTLY), hence without a transaction; what a
-- build that was broken off left behind is dropped first, since Postgres keeps it as an invalid index.
DROP INDEX CONCURRENTLY IF EXISTS codex_kb.idx_reflections_embedding_hnsw;
CREATE INDEX CONCURRENTLY idx_reflections_embedding_hnsw ON codex_kb.reflections USING hnsw (embedding vector_cosine_ops);
DROP INDEX CONCURRENTLY IF EXISTS codex_kb.idx_reflections_embedding;

-- A workflow's name to its run: followed workflows arrive by name.
DROP INDEX CONCURRENTLY IF EXISTS codex_kb.idx_task_runs_external_run;
CREATE INDEX CONCURRENTLY idx_task_runs_external_run ON codex_kb.task_runs (external_run_id);
