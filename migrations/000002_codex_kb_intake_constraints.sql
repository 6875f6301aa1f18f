-- Intake that can be repeated: one idea a source, one task a stage, one run a delivery. Each step first takes away what
-- a half-done run of the Go service's own version may have left, then makes it.
ALTER TABLE codex_kb.ideas DROP CONSTRAINT IF EXISTS ideas_source_unique;
ALTER TABLE codex_kb.ideas ADD CONSTRAINT ideas_source_unique UNIQUE (source_type, source_ref);

ALTER TABLE codex_kb.tasks DROP CONSTRAINT IF EXISTS tasks_idea_stage_unique;
ALTER TABLE codex_kb.tasks ADD CONSTRAINT tasks_idea_stage_unique UNIQUE (idea_id, stage);
-- The constraint's own index serves the same queries.
DROP INDEX IF EXISTS codex_kb.idx_tasks_idea_stage;

ALTER TABLE codex_kb.task_runs ADD COLUMN IF NOT EXISTS delivery_id text;
-- Runs from before deliveries were known get one that nothing will ever send again.
UPDATE codex_kb.task_runs SET delivery_id = gen_random_uuid()::text WHERE delivery_id IS NULL;
ALTER TABLE codex_kb.task_runs ALTER COLUMN delivery_id SET NOT NULL;

ALTER TABLE codex_kb.task_runs DROP CONSTRAINT IF EXISTS task_runs_delivery_unique;
DROP INDEX IF EXISTS codex_kb.idx_task_runs_delivery;
ALTER TABLE codex_kb.task_runs ADD CONSTRAINT task_runs_delivery_unique UNIQUE (delivery_id);
