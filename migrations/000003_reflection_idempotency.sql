-- A reflection saved again replaces the first of its run and type.
ALTER TABLE codex_kb.reflections ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE codex_kb.reflections DROP CONSTRAINT IF EXISTS reflections_task_run_type_unique;
ALTER TABLE codex_kb.reflections
  ADD CONSTRAINT reflections_task_run_type_unique UNIQUE (task_run_id, reflection_type);
-- The constraint's own index serves the same queries.
DROP INDEX IF EXISTS codex_kb.idx_reflections_run_type;
