-- What running workflows wait for: suspend nodes that people decide. A decision is durable here (`deciding`) before it is
-- written into the workflow. `kind`: a suspended workflow, and one whose nodes Argo keeps in its own database, wait as a whole.
CREATE TABLE facteur.approvals (
  run_id uuid NOT NULL REFERENCES facteur.runs (run_id) ON DELETE CASCADE,
  -- Of the node and its start: a node that waits a second time is another approval.
  key text NOT NULL,
  kind text NOT NULL CONSTRAINT approvals_kind CHECK (kind IN ('node', 'suspended', 'offloaded')),
  workflow_uid text NOT NULL,
  node_id text NOT NULL,
  node text NOT NULL,
  template text NOT NULL,
  -- As the cluster writes it: the patch that decides tests it.
  started_at text NOT NULL,
  fields jsonb NOT NULL,
  rules jsonb NOT NULL,
  -- The version of the workflow that showed this.
  seen_version bigint,
  state text NOT NULL DEFAULT 'waiting'
    CONSTRAINT approvals_state CHECK (state IN ('waiting', 'deciding', 'approved', 'rejected', 'gone')),
  requested_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  -- Who approved so far, by id, while more have to.
  votes jsonb NOT NULL DEFAULT '{}',
  verdict text CONSTRAINT approvals_verdict CHECK (verdict IN ('approved', 'rejected')),
  decided_by text NOT NULL DEFAULT '',
  decided_at timestamptz,
  reason text NOT NULL DEFAULT '',
  outputs jsonb NOT NULL DEFAULT '{}',
  applied_at timestamptz,
  -- Why the decision is not in the workflow yet, or why nothing was decided here.
  problem text NOT NULL DEFAULT '',
  attempts integer NOT NULL DEFAULT 0,
  claims integer NOT NULL DEFAULT 0,
  -- When it expires; of a decision, when to apply it.
  due_at timestamptz,
  -- The message that asks: when to bring it up to date, where it is, and what it shows.
  ask_at timestamptz,
  ask_claims integer NOT NULL DEFAULT 0,
  ask_channel text NOT NULL DEFAULT '',
  ask_message text NOT NULL DEFAULT '',
  PRIMARY KEY (run_id, key)
);

CREATE INDEX approvals_due ON facteur.approvals (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX approvals_ask ON facteur.approvals (ask_at) WHERE ask_at IS NOT NULL;
CREATE INDEX approvals_open ON facteur.approvals (requested_at) WHERE state IN ('waiting', 'deciding');
