import { setTimeout } from 'node:timers/promises';
import { FacteurError } from '../../base/errors.ts';
import { type Database, DatabaseError, type Queryable } from './database.ts';
import { gooseApplied, makeGooseTables, recordInGoose } from './goose.ts';
import { type Migration, splitStatements } from './load-migrations.ts';

/** One migration that this call applied. */
interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly status: 'applied';
}

interface MigrateOptions {
  /** How long to wait for another process that is migrating, in milliseconds; building an index may take minutes. */
  readonly lockWaitMs?: number;
  /**
   * How long a statement may wait for a table that others use, in milliseconds. While it waits, all later users wait
   * behind it, so it is better to fail and retry.
   */
  readonly tableWaitMs?: number;
  /** Ends the wait for another process, and stops after the current migration. */
  readonly signal?: AbortSignal;
  /** Called once if this process waits for another one that is migrating. */
  readonly onWait?: () => void;
}

/** The database's record of a migration. */
interface Recorded {
  readonly version: number;
  readonly name: string;
  readonly sha256: string;
  readonly breaking: boolean;
}

/** An arbitrary number shared by all facteur processes ("facteur" in ASCII, cut to 48 bits). */
const LOCK = 0x66_61_63_74_65_75;

/** Well below the ten seconds after which statements of other processes, which queue behind this one, time out. */
const TABLE_WAIT_MS = 4_000;

/**
 * Migrates a database to the newest version, and returns the applied migrations. Safe with any number of processes.
 * A database of the Go service is adopted: its migrations are recorded, not run again. Those of the first three that
 * are run here are also recorded in goose's table, so that the Go service can start on it again.
 *
 * Each file and its record are one transaction; a file with `-- no-transaction` must be repeatable from the top.
 *
 * A database that is newer than this build is accepted, so that a deployment can be rolled back, unless it has
 * migrations
 * marked as breaking.
 *
 * @throws FacteurError `migrations.stopped` when the signal fired first; `migrations.newer` when the database has a breaking migration that this build does not know, and
 *   `migrations.changed` when a file is no longer what was applied; DatabaseError otherwise
 */
export async function migrate(
  db: Database,
  migrations: readonly Migration[],
  options: MigrateOptions = {},
): Promise<AppliedMigration[]> {
  return db.session(async (session) => {
    if (pendingOf(migrations, await recorded(session)).length === 0) {
      return [];
    }
    await lock(session, options);
    await session.query({
      text: `CREATE SCHEMA IF NOT EXISTS facteur;
        CREATE TABLE IF NOT EXISTS facteur.migrations (
          version integer PRIMARY KEY,
          name text NOT NULL,
          sha256 text NOT NULL,
          breaking boolean NOT NULL DEFAULT false,
          applied_at timestamptz NOT NULL DEFAULT now()
        )`,
    });
    const goose = await makeGooseTables(session);
    await adopt(session, migrations, goose);
    const pending = pendingOf(migrations, await recorded(session));
    for (const migration of pending) {
      throwIfStopped(options.signal);
      await apply(session, migration, { goose, tableWaitMs: options.tableWaitMs ?? TABLE_WAIT_MS });
    }
    return pending.map(({ version, name }) => ({ version, name, status: 'applied' }));
  });
}

async function recorded(session: Queryable): Promise<Recorded[]> {
  const table = await session.query<{ there: boolean }>({
    text: `SELECT to_regclass('facteur.migrations') IS NOT NULL AS there`,
  });
  if (table.rows[0]?.there !== true) {
    return [];
  }
  const text = 'SELECT version, name, sha256, breaking FROM facteur.migrations ORDER BY version';
  return (await session.query<Recorded>({ text })).rows;
}

/** The migrations still to apply, once the recorded ones are known to be ours. */
function pendingOf(migrations: readonly Migration[], past: readonly Recorded[]): Migration[] {
  const known = new Map(migrations.map((migration) => [migration.version, migration]));
  for (const { version, name, sha256, breaking } of past) {
    const migration = known.get(version);
    if (migration === undefined && !breaking) {
      continue;
    }
    if (migration === undefined) {
      throw new FacteurError(
        'migrations.newer',
        `the database is newer than this facteur: it has ${name}, which older versions cannot work with; run a newer facteur`,
        { retryable: false },
      );
    }
    if (migration.sha256 !== sha256) {
      throw new FacteurError(
        'migrations.changed',
        `${name} differs from the version that was applied to the database: do not change applied migrations, add a new one`,
        { retryable: false },
      );
    }
    known.delete(version);
  }
  return [...known.values()];
}

/**
 * Polls for the lock: a session that waits in pg_advisory_lock has an open transaction, for which CREATE INDEX CONCURRENTLY in
 * the other process would wait: a deadlock.
 */
async function lock(session: Queryable, { lockWaitMs = 900_000, signal, onWait }: MigrateOptions): Promise<void> {
  const deadline = performance.now() + lockWaitMs;
  const statement = { text: 'SELECT pg_try_advisory_lock($1) AS mine', values: [LOCK] };
  for (let tries = 1; (await session.query<{ mine: boolean }>(statement)).rows[0]?.mine !== true; tries += 1) {
    if (tries === 1) {
      onWait?.();
    }
    if (performance.now() > deadline) {
      throw new DatabaseError(
        'postgres.unavailable',
        'timed out waiting for another process that is migrating the database',
        {
          retryable: true,
        },
      );
    }
    await setTimeout(100, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    throwIfStopped(signal);
  }
}

function throwIfStopped(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new FacteurError('migrations.stopped', 'stopped before all migrations were applied', { retryable: false });
  }
}

/** Copies goose's records into our own table, and all records into goose's tables. */
async function adopt(session: Queryable, migrations: readonly Migration[], goose: readonly string[]): Promise<void> {
  const ours = new Set((await recorded(session)).map(({ version }) => version));
  const theirs = await gooseApplied(session);
  for (const migration of migrations) {
    if (theirs.has(migration.version) && !ours.has(migration.version)) {
      await record(session, migration);
    }
    if (theirs.has(migration.version) || ours.has(migration.version)) {
      await recordInGoose(session, goose, migration.version);
    }
  }
}

interface ApplyOptions {
  readonly goose: readonly string[];
  readonly tableWaitMs: number;
}

async function apply(session: Queryable, migration: Migration, options: ApplyOptions): Promise<void> {
  try {
    if (!migration.transactional) {
      for (const text of splitStatements(migration.sql)) {
        // A concurrent index build that waits blocks nobody.
        const waitMs = /\bCONCURRENTLY\b/.test(text) ? 0 : options.tableWaitMs;
        await session.query({ text: `SET lock_timeout = ${waitMs}` });
        await session.query({ text });
      }
    }
    await session.query({ text: `BEGIN; SET LOCAL lock_timeout = ${options.tableWaitMs}` });
    if (migration.transactional) {
      await session.query({ text: migration.sql });
    }
    await record(session, migration);
    await recordInGoose(session, options.goose, migration.version);
    await session.query({ text: 'COMMIT' });
  } catch (error) {
    throw error instanceof DatabaseError ? await explained(session, migration, error) : error;
  }
}

async function record(session: Queryable, { version, name, sha256, breaking }: Migration): Promise<void> {
  await session.query({
    text: 'INSERT INTO facteur.migrations (version, name, sha256, breaking) VALUES ($1, $2, $3, $4)',
    values: [version, name, sha256, breaking],
  });
}

/** The error of a failed migration with its name, and with instructions for the extension, which an operator must provide. */
async function explained(session: Queryable, migration: Migration, error: DatabaseError): Promise<DatabaseError> {
  const hint = error.code === 'postgres.unavailable' ? '' : advice(await vectorExtension(session));
  return new DatabaseError(error.code, `${migration.name} failed: ${error.message}${hint}`, {
    retryable: error.retryable,
    sqlState: error.sqlState,
    constraint: error.constraint,
    cause: error,
  });
}

interface Extension {
  readonly version: string;
  /** Quoted if necessary. */
  readonly schema: string;
  /** Whether its schema is on the search path. */
  readonly found: boolean;
}

async function vectorExtension(session: Queryable): Promise<Extension | undefined> {
  const { rows } = await session.query<Extension>({
    text: `ROLLBACK; SELECT extversion AS version, quote_ident(nspname) AS schema, nspname = ANY (current_schemas(false)) AS found
      FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'vector'`,
  });
  return rows[0];
}

function advice(vector: Extension | undefined): string {
  if (vector === undefined) {
    return '; pgvector is needed: install it on the server and run CREATE EXTENSION vector; as a superuser in this database';
  }
  const { version, schema, found } = vector;
  if (!found) {
    return `; pgvector is in the schema ${schema}, which is not on the search path: add it with ALTER ROLE … SET search_path, or run ALTER EXTENSION vector SET SCHEMA public;`;
  }
  // HNSW came with 0.5.0. For later versions, the migration itself reports what it needs.
  return /^0\.[0-4](\.|$)/.test(version)
    ? `; pgvector ${version} is too old: install 0.8 or newer and run ALTER EXTENSION vector UPDATE;`
    : '';
}
