-- breaking

-- Before anything is read: what older replicas commit between the copy of the table and its end would be lost. With it those that
-- refer to it, which the end of the table locks: an older replica that holds one of them and waits for runs would be a deadlock.
LOCK TABLE facteur.messages, facteur.retrievals, facteur.approvals, facteur.runs IN ACCESS EXCLUSIVE MODE;

-- What has to be done with a run, and when, in a narrow row of its own that exists until the run is over: nothing that a move
-- writes is in an index of `facteur.runs` any more, so a move writes to no index and, where the page has room, only what differs.
--
-- line           `create` for the first attempt or after the tenth, `retry` in between, when the cluster may have the workflow
--                without having said so, `stop` to end it
-- in_cluster     its workflow was created and has not ended, as far as the ledger knows
-- due_at         when a submitter has to look at it; null while its workflow runs
-- claimed_until  until when a process has it exclusively
CREATE TABLE facteur.open_runs (
  run_id uuid PRIMARY KEY,
  line text NOT NULL CHECK (line IN ('create', 'retry', 'stop')),
  in_cluster boolean NOT NULL,
  due_at timestamptz,
  claimed_until timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);

INSERT INTO facteur.open_runs (run_id, line, in_cluster, due_at, claimed_until)
SELECT run_id, CASE WHEN cancel_requested_by IS NOT NULL THEN 'stop' WHEN attempts BETWEEN 1 AND 10 THEN 'retry' ELSE 'create' END,
  state IN ('submitted', 'running'), due_at, claimed_until
FROM facteur.runs WHERE state IN ('queued', 'submitted', 'running') OR due_at IS NOT NULL;

CREATE INDEX open_runs_due ON facteur.open_runs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX open_runs_line ON facteur.open_runs (line, due_at) WHERE due_at IS NOT NULL AND line <> 'create';
CREATE INDEX open_runs_in_cluster ON facteur.open_runs (run_id) WHERE in_cluster;

-- The table anew, so that what a move writes stands together at the end of a row: then the log holds a part of the row only. Every
-- run has the key of its delivery.
CREATE TABLE facteur.moved_runs (
  run_id uuid NOT NULL,
  accepted_at timestamptz NOT NULL,
  retry_of uuid,
  taken_over boolean NOT NULL DEFAULT false,
  delivery_id text NOT NULL,
  delivery_key text NOT NULL,
  kind text NOT NULL CONSTRAINT runs_kind_check CHECK (kind IN ('command', 'codex')),
  command text NOT NULL,
  title text NOT NULL DEFAULT '',
  door text NOT NULL,
  namespace text NOT NULL,
  workflow_name text NOT NULL,
  correlation_id text NOT NULL,
  traceparent text NOT NULL,
  user_id text NOT NULL,
  guild_id text NOT NULL,
  channel_id text NOT NULL,
  plan json,
  workflow_uid text,
  submitted_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT now(),
  resource_version bigint,
  revision integer NOT NULL DEFAULT 1,
  attempts integer NOT NULL DEFAULT 0,
  claims integer NOT NULL DEFAULT 0,
  retry_count integer NOT NULL DEFAULT 0,
  withdrawn boolean NOT NULL DEFAULT false,
  state text NOT NULL,
  previous_state text,
  -- Null for runs that succeeded or are not over, and so not changed by most moves.
  failure text GENERATED ALWAYS AS (CASE WHEN state NOT IN ('queued', 'submitted', 'running', 'succeeded') THEN state END) STORED,
  progress text NOT NULL DEFAULT '',
  step text NOT NULL DEFAULT '',
  reason text NOT NULL DEFAULT '',
  results jsonb NOT NULL DEFAULT '[]',
  cancel_requested_by text,
  refused_since timestamptz,
  CONSTRAINT runs_state_moves CHECK (
    CASE
      WHEN previous_state IS NULL THEN state = 'queued'
      ELSE previous_state || '>' || state IN (
        'queued>submitted', 'queued>refused', 'queued>skipped', 'queued>canceled',
        'submitted>running', 'submitted>succeeded', 'submitted>failed', 'submitted>error', 'submitted>canceled', 'submitted>lost',
        'running>succeeded', 'running>failed', 'running>error', 'running>canceled', 'running>lost',
        'failed>running', 'error>running', 'canceled>running'
      )
    END
  )
) WITH (toast_tuple_target = 768, fillfactor = 60);

INSERT INTO facteur.moved_runs (run_id, accepted_at, retry_of, taken_over, delivery_id, delivery_key, kind, command, title, door, namespace,
  workflow_name, correlation_id, traceparent, user_id, guild_id, channel_id, plan, workflow_uid, submitted_at, started_at, finished_at,
  updated_at, resource_version, revision, attempts, claims, retry_count, withdrawn, state, previous_state, progress, step, reason,
  results, cancel_requested_by, refused_since)
SELECT run_id, accepted_at, retry_of, taken_over, delivery_id, coalesce(delivery_key, CASE
    WHEN delivery_id ~ '^(retry|dead-letter|kafka):' THEN ''
    WHEN kind = 'codex' THEN 'codex:'
    WHEN door = 'discord' THEN 'discord:'
    ELSE 'command:' END || delivery_id), kind, command, title, door, namespace,
  workflow_name, correlation_id, traceparent, user_id, guild_id, channel_id, plan, workflow_uid, submitted_at, started_at, finished_at,
  updated_at, resource_version, revision, attempts, claims, retry_count, withdrawn, state, previous_state, progress, step, reason,
  results, cancel_requested_by, refused_since
FROM facteur.runs;

DROP TABLE facteur.runs CASCADE;
ALTER TABLE facteur.moved_runs RENAME TO runs;
ALTER TABLE facteur.runs
  ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id),
  ADD CONSTRAINT runs_delivery_unique UNIQUE (delivery_id),
  -- The name first: people name a run by its workflow alone.
  ADD CONSTRAINT runs_workflow_unique UNIQUE (workflow_name, namespace);
CREATE UNIQUE INDEX runs_delivery_key ON facteur.runs (delivery_key);
CREATE INDEX runs_accepted ON facteur.runs (accepted_at DESC, run_id DESC);
CREATE INDEX runs_command ON facteur.runs (command, accepted_at DESC, run_id DESC);
CREATE INDEX runs_user ON facteur.runs (user_id, accepted_at DESC) WHERE user_id <> '';
CREATE INDEX runs_failure ON facteur.runs (failure, accepted_at DESC, run_id DESC) WHERE failure IS NOT NULL;
-- Runs that are still whole, by a time that never changes.
CREATE INDEX runs_whole ON facteur.runs (accepted_at, run_id) WHERE plan IS NOT NULL;
CREATE INDEX runs_withdrawn ON facteur.runs (retry_of) WHERE withdrawn;
CREATE INDEX runs_updated ON facteur.runs USING brin (updated_at) WITH (pages_per_range = 16, autosummarize = on);

ALTER TABLE facteur.messages ADD CONSTRAINT messages_run_id_fkey FOREIGN KEY (run_id) REFERENCES facteur.runs (run_id) ON DELETE CASCADE;
ALTER TABLE facteur.retrievals ADD CONSTRAINT retrievals_run_id_fkey FOREIGN KEY (run_id) REFERENCES facteur.runs (run_id) ON DELETE CASCADE;
ALTER TABLE facteur.approvals ADD CONSTRAINT approvals_run_id_fkey FOREIGN KEY (run_id) REFERENCES facteur.runs (run_id) ON DELETE CASCADE;

-- What became of each idea. facteur.runs is where the state of a run changes first. Runs count also when they are archived; what they reported counts while they are not.
CREATE VIEW facteur.idea_summary_view AS
SELECT i.id AS idea_id, i.source_type, i.source_ref, i.priority, i.status, i.created_at, i.updated_at,
  tasks.tasks, tasks.tasks_succeeded, runs.runs + archived.runs AS runs, archived.runs AS runs_archived, runs.runs_live,
  runs.last_run_at, last_run.status AS last_run_status, runs.reflections, runs.artifacts,
  (SELECT count(*)::int FROM codex_kb.policy_checks c WHERE c.idea_id = i.id AND c.status = 'fail') AS checks_failed
FROM codex_kb.ideas i
CROSS JOIN LATERAL (
  SELECT count(*)::int AS tasks, count(*) FILTER (WHERE t.state = 'succeeded')::int AS tasks_succeeded
  FROM codex_kb.tasks t WHERE t.idea_id = i.id
) tasks
CROSS JOIN LATERAL (
  SELECT count(*)::int AS runs, count(*) FILTER (WHERE coalesce(f.state, r.status) IN ('queued', 'submitted', 'running'))::int AS runs_live,
    max(r.created_at) AS last_run_at,
    coalesce(sum((SELECT count(*) FROM codex_kb.reflections e WHERE e.task_run_id = r.id)), 0)::int AS reflections,
    coalesce(sum((SELECT count(*) FROM codex_kb.artifacts a WHERE a.task_run_id = r.id)), 0)::int AS artifacts
  FROM codex_kb.tasks t JOIN codex_kb.task_runs r ON r.task_id = t.id LEFT JOIN facteur.runs f ON f.run_id = r.id
  WHERE t.idea_id = i.id
) runs
CROSS JOIN LATERAL (
  SELECT count(*)::int AS runs FROM codex_kb.tasks t JOIN codex_kb.task_runs_history h ON h.task_id = t.id WHERE t.idea_id = i.id
) archived
LEFT JOIN LATERAL (
  SELECT coalesce(f.state, r.status) AS status FROM codex_kb.tasks t JOIN codex_kb.task_runs r ON r.task_id = t.id
    LEFT JOIN facteur.runs f ON f.run_id = r.id
  WHERE t.idea_id = i.id
  ORDER BY r.created_at DESC, r.id DESC LIMIT 1
) last_run ON true;
