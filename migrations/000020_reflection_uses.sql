-- What was decided about reflections for each run that may receive some. Like facteur.runs it outlives the archiving of the
-- rest, so that what later runs learn from outcomes is not forgotten with the runs.
CREATE TABLE facteur.retrievals (
  run_id uuid PRIMARY KEY REFERENCES facteur.runs (run_id) ON DELETE CASCADE,
  strategy text NOT NULL CHECK (strategy IN ('retrieve', 'holdout', 'disabled', 'nothing_similar', 'timed_out')),
  -- In lower case.
  repository text NOT NULL,
  -- github:LOGIN, discord:ID or api:NAME; empty if unknown.
  asked_by text NOT NULL,
  -- What the run receives, so that each attempt to create its workflow sends the same; absent once the run is archived.
  composition json,
  decided_at timestamptz NOT NULL DEFAULT now()
);

-- Which reflections a run received: how their usefulness is derived, and from which reflections others descend.
CREATE TABLE facteur.reflection_uses (
  run_id uuid NOT NULL REFERENCES facteur.retrievals (run_id) ON DELETE CASCADE,
  reflection_id uuid NOT NULL REFERENCES codex_kb.reflections (id) ON DELETE CASCADE,
  -- From 1.
  place smallint NOT NULL,
  -- Cosine; absent where it was found by words alone.
  similarity real,
  PRIMARY KEY (run_id, reflection_id)
);

CREATE INDEX reflection_uses_reflection ON facteur.reflection_uses (reflection_id);
