-- no-transaction
-- Runs that were tried and have a place in the cluster while they wait: admission counts them, and gives them their turn
-- first. Without it, it reads the whole backlog of runs that nobody has tried yet.
DROP INDEX CONCURRENTLY IF EXISTS facteur.runs_tried;
CREATE INDEX CONCURRENTLY runs_tried ON facteur.runs (due_at) WHERE due_at IS NOT NULL AND attempts BETWEEN 1 AND 10;

-- Retries that count as never asked for: the next one gets another delivery id.
DROP INDEX CONCURRENTLY IF EXISTS facteur.runs_withdrawn;
CREATE INDEX CONCURRENTLY runs_withdrawn ON facteur.runs (retry_of) WHERE withdrawn;
