import type { Queryable } from '../clients/postgres/database.ts';

/** The scope in which commands are registered: a server of an application, or all its servers (an empty guild id). */
export interface CommandScope {
  readonly applicationId: string;
  readonly guildId: string;
}

/** A command that this facteur registered. */
interface RegisteredCommand {
  readonly name: string;
  /** Empty while the answer to its creation is unknown. */
  readonly discordId: string;
}

/** The result of the last sync of a scope. */
interface CommandSync {
  /** Hash of the wanted commands. */
  readonly sha256: string;
  /** Milliseconds until it must be checked even if nothing has changed. */
  readonly dueInMs: number;
  /** Empty if everything is registered. */
  readonly problem: string;
}

/** The servers in which this facteur has registered commands. */
export async function registeredGuilds(db: Queryable, applicationId: string): Promise<readonly string[]> {
  const { rows } = await db.query<{ readonly guildId: string }>({
    name: 'registered-guilds',
    text: `SELECT DISTINCT guild_id AS "guildId" FROM facteur.registered_commands WHERE application_id = $1`,
    values: [applicationId],
  });
  return rows.map(({ guildId }) => guildId);
}

export async function registeredCommands(db: Queryable, scope: CommandScope): Promise<readonly RegisteredCommand[]> {
  const { rows } = await db.query<RegisteredCommand>({
    name: 'registered-commands',
    text: `SELECT name, discord_id AS "discordId" FROM facteur.registered_commands
      WHERE application_id = $1 AND guild_id = $2 ORDER BY name`,
    values: [scope.applicationId, scope.guildId],
  });
  return rows;
}

/** Call it before the creation with an empty id, and after it with Discord's: a crash in between leaves a trace. */
export async function recordCommand(
  db: Queryable,
  { applicationId, guildId }: CommandScope,
  { name, discordId, origin }: RegisteredCommand & { readonly origin: string },
): Promise<void> {
  await db.query({
    name: 'record-command',
    text: `INSERT INTO facteur.registered_commands (application_id, guild_id, name, discord_id, origin)
      VALUES ($1, $2, $3, $4, $5)
      ON CONFLICT (application_id, guild_id, name)
      DO UPDATE SET discord_id = EXCLUDED.discord_id, origin = EXCLUDED.origin, registered_at = now()`,
    values: [applicationId, guildId, name, discordId, origin],
  });
}

export async function forgetCommand(db: Queryable, scope: CommandScope, name: string): Promise<void> {
  await db.query({
    name: 'forget-command',
    text: `DELETE FROM facteur.registered_commands WHERE application_id = $1 AND guild_id = $2 AND name = $3`,
    values: [scope.applicationId, scope.guildId, name],
  });
}

export async function findCommandSync(db: Queryable, scope: CommandScope): Promise<CommandSync | undefined> {
  const { rows } = await db.query<CommandSync>({
    name: 'find-command-sync',
    text: `SELECT sha256, problem, (extract(epoch FROM due_at - now()) * 1000)::float8 AS "dueInMs"
      FROM facteur.command_syncs WHERE application_id = $1 AND guild_id = $2`,
    values: [scope.applicationId, scope.guildId],
  });
  return rows[0];
}

export async function recordCommandSync(
  db: Queryable,
  { applicationId, guildId }: CommandScope,
  { sha256, dueInMs, problem }: CommandSync,
): Promise<void> {
  await db.query({
    name: 'record-command-sync',
    text: `INSERT INTO facteur.command_syncs (application_id, guild_id, sha256, due_at, problem)
      VALUES ($1, $2, $3, now() + make_interval(secs => $4::float8 / 1000), $5)
      ON CONFLICT (application_id, guild_id)
      DO UPDATE SET sha256 = EXCLUDED.sha256, synced_at = now(), due_at = EXCLUDED.due_at, problem = EXCLUDED.problem`,
    values: [applicationId, guildId, sha256, dueInMs, problem],
  });
}

/** Deletes the sync results of all scopes except these: problems elsewhere no longer matter. */
export async function forgetCommandSyncs(db: Queryable, applicationId: string, kept: readonly string[]): Promise<void> {
  await db.query({
    name: 'forget-command-syncs',
    text: `DELETE FROM facteur.command_syncs WHERE application_id = $1 AND guild_id <> ALL($2::text[])`,
    values: [applicationId, kept],
  });
}

/** The problems of the last sync of each scope. */
export async function registrationProblems(db: Queryable, applicationId: string): Promise<readonly string[]> {
  const { rows } = await db.query<{ readonly problem: string }>({
    name: 'registration-problems',
    text: `SELECT problem FROM facteur.command_syncs WHERE application_id = $1 AND problem <> '' ORDER BY guild_id`,
    values: [applicationId],
  });
  return rows.flatMap(({ problem }) => problem.split('; '));
}
