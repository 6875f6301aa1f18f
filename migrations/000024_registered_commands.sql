-- The slash commands that this facteur registered with Discord. Only these are ever deleted: commands of others on the
-- same application, another facteur's included, are not in here. guild_id '' means all servers. A row with an empty
-- discord_id is a registration whose answer has not been seen.
CREATE TABLE facteur.registered_commands (
  application_id text NOT NULL,
  guild_id text NOT NULL,
  name text NOT NULL,
  discord_id text NOT NULL DEFAULT '',
  origin text NOT NULL,
  registered_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (application_id, guild_id, name)
);

-- What was registered last in each place, so that nothing is sent to Discord while nothing has changed.
CREATE TABLE facteur.command_syncs (
  application_id text NOT NULL,
  guild_id text NOT NULL,
  sha256 text NOT NULL,
  synced_at timestamptz NOT NULL DEFAULT now(),
  -- When to look again, although nothing has changed.
  due_at timestamptz NOT NULL,
  -- What could not be registered, and why; empty if everything is.
  problem text NOT NULL DEFAULT '',
  PRIMARY KEY (application_id, guild_id)
);
