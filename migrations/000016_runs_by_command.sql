-- no-transaction
-- Lists of one command's runs. Without it, a list of a rare command, or of one that never ran, reads every run there is.
DROP INDEX CONCURRENTLY IF EXISTS facteur.runs_command;
CREATE INDEX CONCURRENTLY runs_command ON facteur.runs (command, accepted_at DESC, run_id DESC);
