-- no-transaction
-- Archiving a run deletes its row, and PostgreSQL then looks for the checks that refer to it: without an index it reads all
-- checks there are, once for each run. Checks of archived runs refer to none.
DROP INDEX CONCURRENTLY IF EXISTS codex_kb.idx_policy_checks_run;
CREATE INDEX CONCURRENTLY idx_policy_checks_run ON codex_kb.policy_checks (task_run_id) WHERE task_run_id IS NOT NULL;

-- The archived runs of a task: facteur.idea_summary_view reads them for each idea.
DROP INDEX CONCURRENTLY IF EXISTS codex_kb.idx_task_runs_history_task;
CREATE INDEX CONCURRENTLY idx_task_runs_history_task ON codex_kb.task_runs_history (task_id);
