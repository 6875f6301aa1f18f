-- The knowledge base that facteur shares with other readers: what was asked (ideas), what it is cut into (tasks), every
-- attempt at it (task_runs), and what was learnt. Names, types and constraints are those that the Go service made, so
-- that either service can work on what the other left behind; hence also IF NOT EXISTS throughout: the Go service's
-- first two migrations ran without a transaction, and one that died half way left some of this.
-- Named, because the first schema of the search path may by now be one that others do not look into.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

CREATE SCHEMA IF NOT EXISTS codex_kb;

-- Where a role called facteur exists beside the one that migrates, it may use what is here, as it could before.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'facteur' AND rolname <> current_user) THEN
    GRANT USAGE ON SCHEMA codex_kb TO facteur;
    ALTER DEFAULT PRIVILEGES IN SCHEMA codex_kb GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO facteur;
    ALTER DEFAULT PRIVILEGES IN SCHEMA codex_kb GRANT USAGE, SELECT ON SEQUENCES TO facteur;
  END IF;
END
$$;

-- What somebody asked for, known by where it came from.
CREATE TABLE IF NOT EXISTS codex_kb.ideas (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  source_type text NOT NULL,
  source_ref text NOT NULL,
  priority smallint NOT NULL DEFAULT 0,
  status text NOT NULL,
  risk_flags jsonb NOT NULL DEFAULT '{}'::jsonb,
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- One stage of an idea.
CREATE TABLE IF NOT EXISTS codex_kb.tasks (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  idea_id uuid NOT NULL REFERENCES codex_kb.ideas (id) ON DELETE CASCADE,
  stage text NOT NULL,
  state text NOT NULL,
  assignee text,
  sla_deadline timestamptz,
  metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_tasks_idea_stage ON codex_kb.tasks (idea_id, stage);
CREATE INDEX IF NOT EXISTS idx_tasks_state_updated ON codex_kb.tasks (state, updated_at DESC);

CREATE TABLE IF NOT EXISTS codex_kb.task_dependencies (
  task_id uuid NOT NULL REFERENCES codex_kb.tasks (id) ON DELETE CASCADE,
  depends_on_task_id uuid NOT NULL REFERENCES codex_kb.tasks (id) ON DELETE CASCADE,
  dependency_type text NOT NULL DEFAULT 'hard',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (task_id, depends_on_task_id)
);

-- One attempt at a task: one workflow.
CREATE TABLE IF NOT EXISTS codex_kb.task_runs (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  task_id uuid NOT NULL REFERENCES codex_kb.tasks (id) ON DELETE CASCADE,
  external_run_id text,
  status text NOT NULL,
  queued_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  completed_at timestamptz,
  input_ref text,
  output_ref text,
  retry_count smallint NOT NULL DEFAULT 0,
  error_code text,
  metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_task_runs_task_created ON codex_kb.task_runs (task_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_task_runs_status_updated ON codex_kb.task_runs (status, updated_at DESC);

-- Runs that retention took out of task_runs, each whole in its snapshot.
CREATE TABLE IF NOT EXISTS codex_kb.task_runs_history (
  archived_run_id uuid PRIMARY KEY,
  task_id uuid NOT NULL REFERENCES codex_kb.tasks (id) ON DELETE CASCADE,
  snapshot jsonb NOT NULL,
  archived_at timestamptz NOT NULL DEFAULT now(),
  retention_class text NOT NULL DEFAULT 'default'
);

CREATE TABLE IF NOT EXISTS codex_kb.run_events (
  id bigserial PRIMARY KEY,
  task_run_id uuid NOT NULL REFERENCES codex_kb.task_runs (id) ON DELETE CASCADE,
  event_type text NOT NULL,
  actor text,
  payload jsonb NOT NULL DEFAULT '{}'::jsonb,
  emitted_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_run_events_run_emitted ON codex_kb.run_events (task_run_id, emitted_at);
CREATE INDEX IF NOT EXISTS idx_run_events_emitted ON codex_kb.run_events (emitted_at);

CREATE TABLE IF NOT EXISTS codex_kb.artifacts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  task_run_id uuid NOT NULL REFERENCES codex_kb.task_runs (id) ON DELETE CASCADE,
  artifact_type text NOT NULL,
  uri text NOT NULL,
  checksum text,
  metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX IF NOT EXISTS idx_artifacts_uri ON codex_kb.artifacts (uri);
CREATE INDEX IF NOT EXISTS idx_artifacts_run_type ON codex_kb.artifacts (task_run_id, artifact_type);

-- What a run taught, findable by likeness.
CREATE TABLE IF NOT EXISTS codex_kb.reflections (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  task_run_id uuid NOT NULL REFERENCES codex_kb.task_runs (id) ON DELETE CASCADE,
  author text,
  reflection_type text NOT NULL,
  content text NOT NULL,
  embedding vector(1536),
  embedding_version text,
  metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_reflections_run_type ON codex_kb.reflections (task_run_id, reflection_type);
CREATE INDEX IF NOT EXISTS idx_reflections_embedding ON codex_kb.reflections
  USING ivfflat (embedding vector_cosine_ops) WITH (lists = 100);

CREATE TABLE IF NOT EXISTS codex_kb.policy_checks (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  idea_id uuid NOT NULL REFERENCES codex_kb.ideas (id) ON DELETE CASCADE,
  task_run_id uuid REFERENCES codex_kb.task_runs (id) ON DELETE SET NULL,
  policy_key text NOT NULL,
  status text NOT NULL,
  evidence_uri text,
  metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_policy_checks_idea_policy_created
  ON codex_kb.policy_checks (idea_id, policy_key, created_at DESC);

CREATE TABLE IF NOT EXISTS codex_kb.run_metrics (
  task_run_id uuid PRIMARY KEY REFERENCES codex_kb.task_runs (id) ON DELETE CASCADE,
  queue_latency_ms bigint,
  runtime_ms bigint,
  retry_latency_ms bigint,
  resource_usage jsonb NOT NULL DEFAULT '{}'::jsonb,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS idx_run_metrics_runtime ON codex_kb.run_metrics (runtime_ms);
CREATE INDEX IF NOT EXISTS idx_run_metrics_queue ON codex_kb.run_metrics (queue_latency_ms);
