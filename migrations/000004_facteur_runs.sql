-- facteur's own side of a run. The codex_kb tables keep the shape that other readers know; what only facteur needs
-- (the reserved name, the claim, the revisions) lives here, one row a run, and outlives the archiving of the rest,
-- so that a delivery that comes again after months is still known.
CREATE SCHEMA IF NOT EXISTS facteur;

CREATE TABLE facteur.runs (
  run_id uuid PRIMARY KEY,
  delivery_id text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('command', 'codex')),
  command text NOT NULL,
  door text NOT NULL,
  state text NOT NULL,
  previous_state text,
  revision integer NOT NULL DEFAULT 1,
  namespace text NOT NULL,
  workflow_name text NOT NULL,
  workflow_uid text,
  plan json,
  correlation_id text NOT NULL,
  traceparent text NOT NULL,
  user_id text NOT NULL,
  guild_id text NOT NULL,
  channel_id text NOT NULL,
  reason text NOT NULL DEFAULT '',
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz,
  accepted_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT runs_delivery_unique UNIQUE (delivery_id),
  -- The name first: people name a run by its workflow alone.
  CONSTRAINT runs_workflow_unique UNIQUE (workflow_name, namespace),
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
);

-- What the submitter looks for: few rows at any time, however many runs there are.
CREATE INDEX runs_due ON facteur.runs (due_at) WHERE due_at IS NOT NULL;

-- Lists, newest first.
CREATE INDEX runs_accepted ON facteur.runs (accepted_at DESC, run_id DESC);

-- Lists of what is rarer than success.
CREATE INDEX runs_state ON facteur.runs (state, accepted_at DESC, run_id DESC) WHERE state <> 'succeeded';

-- Somebody's last request.
CREATE INDEX runs_user ON facteur.runs (user_id, accepted_at DESC) WHERE user_id <> '';

-- What could not be processed, with its bytes, so that a person can look at it and send it again.
CREATE TABLE facteur.dead_letters (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  door text NOT NULL,
  delivery_id text NOT NULL DEFAULT '',
  reason text NOT NULL,
  attempts integer NOT NULL DEFAULT 1,
  headers jsonb NOT NULL DEFAULT '{}',
  body bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX dead_letters_created ON facteur.dead_letters (created_at);

-- Who was told no: an audit trail of permission decisions.
CREATE TABLE facteur.refusals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  door text NOT NULL,
  delivery_id text NOT NULL,
  command text NOT NULL,
  user_id text NOT NULL,
  reason text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX refusals_created ON facteur.refusals (created_at);
