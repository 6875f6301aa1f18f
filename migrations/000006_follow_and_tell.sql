-- What following a workflow to its end and telling the chat about it need.
ALTER TABLE facteur.runs
  ADD COLUMN progress text NOT NULL DEFAULT '',
  ADD COLUMN resource_version bigint,
  ADD COLUMN retry_count integer NOT NULL DEFAULT 0,
  ADD COLUMN submitted_at timestamptz,
  ADD COLUMN started_at timestamptz,
  ADD COLUMN finished_at timestamptz,
  ADD COLUMN retry_of uuid,
  ADD COLUMN cancel_requested_by text,
  ADD COLUMN claimed_until timestamptz;

-- Live runs, which the follower compares with the cluster and admission counts.
CREATE INDEX runs_live ON facteur.runs (namespace) WHERE state IN ('submitted', 'running');

-- Runs that somebody wants ended; looked for past any queue of runs that wait to begin.
CREATE INDEX runs_to_stop ON facteur.runs (due_at) WHERE due_at IS NOT NULL AND cancel_requested_by IS NOT NULL;

-- Finished runs that are still whole, oldest first: what retention looks for.
CREATE INDEX runs_to_archive ON facteur.runs (updated_at, run_id)
  WHERE plan IS NOT NULL AND state NOT IN ('queued', 'submitted', 'running');

-- One holder at a time, on the database's clock.
CREATE TABLE facteur.leases (
  name text PRIMARY KEY,
  holder text NOT NULL,
  expires_at timestamptz NOT NULL
);

-- The one message a run has in the chat. `due_at` is set by whatever changes the run and cleared when the message shows
-- the run's revision, so that the message is brought to the latest state and never through a backlog. Nothing is sent
-- before `not_before`. `claims` grows when the row is taken and when it is given back, so that one who comes late finds
-- that it is another's.
CREATE TABLE facteur.messages (
  run_id uuid PRIMARY KEY REFERENCES facteur.runs (run_id) ON DELETE CASCADE,
  interaction_id text NOT NULL,
  channel_id text NOT NULL,
  message_id text NOT NULL DEFAULT '',
  ephemeral boolean NOT NULL DEFAULT false,
  -- The interaction's token was refused, or its message is gone: from here on it is the bot that speaks.
  token_refused boolean NOT NULL DEFAULT false,
  -- Messages that the bot posted because there was none (any more).
  posts smallint NOT NULL DEFAULT 0,
  told_revision integer NOT NULL DEFAULT 0,
  told_state text NOT NULL DEFAULT '',
  told_at timestamptz,
  -- Why nothing can be told; empty while there is hope.
  abandoned text NOT NULL DEFAULT '',
  claims integer NOT NULL DEFAULT 0,
  -- Tries in a row that failed.
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz,
  not_before timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX messages_due ON facteur.messages (due_at) WHERE due_at IS NOT NULL;
