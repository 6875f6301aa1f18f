-- no-transaction
-- `argo retry --restart-successful` makes a workflow that has succeeded run again.
ALTER TABLE facteur.runs DROP CONSTRAINT runs_state_moves, ADD CONSTRAINT runs_state_moves CHECK (
  CASE
    WHEN previous_state IS NULL THEN state = 'queued'
    ELSE previous_state || '>' || state IN (
      'queued>submitted', 'queued>refused', 'queued>skipped', 'queued>canceled',
      'submitted>running', 'submitted>succeeded', 'submitted>failed', 'submitted>error', 'submitted>canceled', 'submitted>lost',
      'running>succeeded', 'running>failed', 'running>error', 'running>canceled', 'running>lost',
      'succeeded>running', 'failed>running', 'error>running', 'canceled>running'
    )
  END
) NOT VALID;
ALTER TABLE facteur.runs VALIDATE CONSTRAINT runs_state_moves;
