-- no-transaction
-- A delivery id is known within its family: that of a command is not that of a Codex task. `delivery_id` stays unique,
-- since replicas of the version before look it up while they last; where two families use the same id, the later one has
-- its key there. What the version before records has no key of its own: its family shows in the row.
ALTER TABLE facteur.runs ADD COLUMN IF NOT EXISTS delivery_key text;

-- Ids are trimmed from here on. One that was recorded with white space around it is known by the trimmed id too, unless
-- that is another run's.
UPDATE facteur.runs SET delivery_key = padded.key
FROM (
  SELECT DISTINCT ON (key) run_id, key
  FROM (
    SELECT run_id, accepted_at, btrim(delivery_id, E' \t\n\x0B\f\r') AS bare,
      CASE WHEN kind = 'codex' THEN 'codex:' WHEN door = 'discord' THEN 'discord:' ELSE 'command:' END
        || btrim(delivery_id, E' \t\n\x0B\f\r') AS key
    FROM facteur.runs WHERE delivery_id <> btrim(delivery_id, E' \t\n\x0B\f\r')
  ) AS trimmed
  WHERE NOT EXISTS (SELECT FROM facteur.runs AS other WHERE other.delivery_id = trimmed.bare)
  ORDER BY key, accepted_at
) AS padded
WHERE runs.run_id = padded.run_id AND runs.delivery_key IS NULL;

DROP INDEX CONCURRENTLY IF EXISTS facteur.runs_delivery_key;
CREATE UNIQUE INDEX CONCURRENTLY runs_delivery_key ON facteur.runs ((coalesce(delivery_key, CASE
  WHEN delivery_id ~ '^(retry|dead-letter|kafka):' THEN ''
  WHEN kind = 'codex' THEN 'codex:'
  WHEN door = 'discord' THEN 'discord:'
  ELSE 'command:' END || delivery_id)));
