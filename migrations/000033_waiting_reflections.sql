-- no-transaction
-- The newest reflections of a repository that wait for a decision: each run that may receive some looks for those that its
-- rules trust, and reading all that wait takes longer with every run.
DROP INDEX CONCURRENTLY IF EXISTS facteur.reflection_standing_waiting;
CREATE INDEX CONCURRENTLY reflection_standing_waiting ON facteur.reflection_standing (repository, updated_at DESC, reflection_id)
  WHERE state = 'quarantined' AND decided_by IN ('', 'facteur');
