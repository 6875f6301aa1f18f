import { setTimeout } from 'node:timers/promises';
import { FacteurError } from '../../base/errors.ts';
import { type Database, DatabaseError, type Queryable } from './database.ts';
import { gooseApplied, makeGooseTables, recordInGoose } from './goose.ts';
import { type Migration, splitStatements } from './load-migrations.ts';

/** One migration that this call applied. */
export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly status: 'applied';
}

export interface MigrateOptions {
  /** How long to wait for another process that is migrating, in milliseconds; building an index may take minutes. */
  readonly lockWaitMs?: number;
  /**
   * How long a statement may wait for a table that others use, in milliseconds: while it waits, everybody who comes
   * later waits behind it, so it is better to fail and be tried again.
   */
  readonly tableWaitMs?: number;
}

/** What the database says of a migration that it has. */
interface Recorded {
  readonly version: number;
  readonly name: string;
  readonly sha256: string;
  readonly breaking: boolean;
}

/** An arbitrary number that all facteurs agree on ("facteur" in ASCII, cut to 48 bits). */
const LOCK = 0x66_61_63_74_65_75;

/**
 * Brings a database to the newest migration, and says which ones that took. Safe with any number of processes at once.
 * A database of the Go service is taken over as it is: what it has is recorded, not run again; and what is run here of
 * the first three is entered into goose's books, so that the Go service can start on it again.
 *
 * Each file and its record are one transaction; a file with `-- no-transaction` must bear being run again from the top.
 *
 * A database that is newer than this build is fine, so that a deployment can be taken back, unless what it has is marked
 * as breaking.
 *
 * @throws FacteurError `migrations.newer` when the database has a breaking migration that this build does not know, and
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
    await lock(session, options.lockWaitMs ?? 900_000);
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
      await apply(session, migration, { goose, tableWaitMs: options.tableWaitMs ?? 10_000 });
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

/** What is to be done, after making sure that the past is the one we know. */
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
        `the database is newer than this facteur: it has ${name}, which older ones cannot work with; run a newer facteur`,
        { retryable: false },
      );
    }
    if (migration.sha256 !== sha256) {
      throw new FacteurError(
        'migrations.changed',
        `${name} is not what was applied to the database: an applied migration never changes, add a new one instead`,
        { retryable: false },
      );
    }
    known.delete(version);
  }
  return [...known.values()];
}

/**
 * Waits its turn. Asking again and again, because a session that waits inside pg_advisory_lock has a transaction open,
 * for which CREATE INDEX CONCURRENTLY of the other one waits in turn: a deadlock.
 */
async function lock(session: Queryable, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs;
  const statement = { text: 'SELECT pg_try_advisory_lock($1) AS mine', values: [LOCK] };
  while ((await session.query<{ mine: boolean }>(statement)).rows[0]?.mine !== true) {
    if (performance.now() > deadline) {
      throw new DatabaseError('postgres.unavailable', 'another process has been migrating the database for too long', {
        retryable: true,
      });
    }
    await setTimeout(100);
  }
}

/** Enters what goose knows of into our own books, and what either knows into goose's. */
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

/** A failed migration with its name, and with what to do about the one thing that an operator has to provide. */
async function explained(session: Queryable, migration: Migration, error: DatabaseError): Promise<DatabaseError> {
  const hint = error.code === 'postgres.unavailable' ? '' : advice(await vectorVersion(session));
  return new DatabaseError(error.code, `${migration.name} failed: ${error.message}${hint}`, {
    retryable: error.retryable,
    sqlState: error.sqlState,
    constraint: error.constraint,
    cause: error,
  });
}

async function vectorVersion(session: Queryable): Promise<string | undefined> {
  const { rows } = await session.query<{ version: string }>({
    text: `ROLLBACK; SELECT extversion AS version FROM pg_extension WHERE extname = 'vector'`,
  });
  return rows[0]?.version;
}

function advice(vector: string | undefined): string {
  if (vector === undefined) {
    return '; pgvector is needed: install it on the server and run CREATE EXTENSION vector; as a superuser in this database';
  }
  // HNSW came with 0.5.0.
  return /^0\.[0-4](\.|$)/.test(vector)
    ? `; pgvector ${vector} is too old: install 0.5 or newer and run ALTER EXTENSION vector UPDATE;`
    : '';
}
