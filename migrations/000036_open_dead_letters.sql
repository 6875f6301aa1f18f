-- no-transaction
-- Dead letters that wait for somebody: every look at the backlog counts them, and those that were settled stay for a month.
DROP INDEX CONCURRENTLY IF EXISTS facteur.dead_letters_open;
CREATE INDEX CONCURRENTLY dead_letters_open ON facteur.dead_letters (id) WHERE settled_at IS NULL;

-- The refusals of a person, or of a command: without an index a search for few of them reads all there are.
DROP INDEX CONCURRENTLY IF EXISTS facteur.refusals_user;
CREATE INDEX CONCURRENTLY refusals_user ON facteur.refusals (user_id, id);
DROP INDEX CONCURRENTLY IF EXISTS facteur.refusals_command;
CREATE INDEX CONCURRENTLY refusals_command ON facteur.refusals (command, id);
