-- no-transaction
-- What a workflow reports under a key of its own is kept once, however often it is sent.
DROP INDEX CONCURRENTLY IF EXISTS codex_kb.run_events_key;
CREATE UNIQUE INDEX CONCURRENTLY run_events_key ON codex_kb.run_events (task_run_id, (payload ->> 'idempotencyKey'))
  WHERE payload ? 'idempotencyKey';
