-- no-transaction
-- When a reflection was used: its latest uses say whether it helps, and reading all of them takes longer with every run.
SET lock_timeout = '10s';
-- As in facteur.retrievals: both rows are written by one statement.
ALTER TABLE facteur.reflection_uses ADD COLUMN IF NOT EXISTS decided_at timestamptz NOT NULL DEFAULT now();
SET lock_timeout = 0;
UPDATE facteur.reflection_uses AS u SET decided_at = x.decided_at
FROM facteur.retrievals AS x WHERE x.run_id = u.run_id AND u.decided_at <> x.decided_at;

DROP INDEX CONCURRENTLY IF EXISTS facteur.reflection_uses_latest;
CREATE INDEX CONCURRENTLY reflection_uses_latest ON facteur.reflection_uses (reflection_id, decided_at DESC, run_id DESC);
DROP INDEX CONCURRENTLY IF EXISTS facteur.reflection_uses_reflection;
