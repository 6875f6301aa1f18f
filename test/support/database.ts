import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../src/clients/postgres/database.ts';
import { loadMigrations, type Migration } from '../../src/clients/postgres/load-migrations.ts';
import { migrate } from '../../src/clients/postgres/migrate.ts';
import { openPglite } from '../../src/clients/postgres/open-pglite.ts';
import { openPostgres } from '../../src/clients/postgres/open-postgres.ts';
import { withDatabase } from '../../scripts/services/own-database.ts';

const SOURCES = ['../../src/clients/postgres/migrate.ts', 'database.ts'].map((path) =>
  readFileSync(new URL(path, import.meta.url)),
);

export const MIGRATIONS = new URL('../../migrations/', import.meta.url);

/** A database for one test. */
export interface TestDatabase {
  readonly db: Database;
  /**
   * For a second connection or another process: only useful with a real server, because `pglite:memory` belongs to one
   * process.
   */
  readonly dsn: string;
  /** Closes and removes it. */
  close(): Promise<void>;
}

export interface TestDatabaseOptions {
  /** False for an empty database. */
  readonly migrated?: boolean;
  readonly poolSize?: number;
}

/**
 * A fresh database with all migrations: on the server in FACTEUR_TEST_POSTGRES_DSN, cloned from a template there; without
 * that variable an embedded one in memory, from a snapshot that is created once per set of migrations.
 */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const migrations = await migrationsOf(options);
  const server = process.env['FACTEUR_TEST_POSTGRES_DSN'];
  return server === undefined || server === ''
    ? embedded(migrations)
    : onServer(server, migrations, options.poolSize ?? 10);
}

/** Puts an embedded database into a directory for another process: faster than creating one there. */
export async function fillDirectory(
  directory: string,
  options: Pick<TestDatabaseOptions, 'migrated'> = {},
): Promise<void> {
  const content = await snapshot(await migrationsOf(options));
  const db = await openPglite({ pid: process.pid, onLost: ignore, directory, snapshot: content });
  await db.close();
}

/** Creates missing snapshots in advance. */
export async function makeSnapshots(): Promise<void> {
  await snapshot(await loadMigrations(MIGRATIONS));
}

/** On a busy machine a statement may wait for a connection longer than the service's five seconds. */
const CONNECT_MS = 30_000;

/** Opens a DSN for a test. A lost background connection fails the test only through its consequences. */
export function openTestPostgres(dsn: string, options: { poolSize?: number; heartbeatMs?: number } = {}): Database {
  return openPostgres({ dsn, random: Math.random, onLost: ignore, connectTimeoutMs: CONNECT_MS, ...options });
}

/** A lost background connection fails a test only through its consequences. */
const ignore = (): void => undefined;

async function migrationsOf({ migrated }: TestDatabaseOptions): Promise<readonly Migration[]> {
  return migrated === false ? [] : loadMigrations(MIGRATIONS);
}

async function embedded(migrations: readonly Migration[]): Promise<TestDatabase> {
  const db = await openPglite({ pid: process.pid, onLost: ignore, snapshot: await snapshot(migrations) });
  return { db, dsn: 'pglite:memory', close: () => db.close() };
}

/**
 * Makes a start from the snapshot cheaper: smaller buffers (by default every start clears 128 MiB), and no template
 * databases, which are over half of its files.
 */
const SMALLER = [
  `ALTER SYSTEM SET shared_buffers = '16MB'`,
  'UPDATE pg_database SET datistemplate = false',
  'DROP DATABASE IF EXISTS template0',
  'DROP DATABASE IF EXISTS template1',
  'CHECKPOINT',
] as const;

async function snapshot(migrations: readonly Migration[]): Promise<Blob> {
  const file = join(tmpdir(), `facteur-pglite-${fingerprint(migrations)}.tar`);
  const kept = await readFile(file).catch(() => undefined);
  if (kept !== undefined) {
    return new Blob([kept]);
  }
  const base = migrations.length === 0 ? {} : { snapshot: await snapshot([]) };
  const db = await openPglite({ pid: process.pid, onLost: ignore, ...base });
  await migrate(db, migrations);
  for (const text of SMALLER) {
    await db.query({ text });
  }
  const made = await db.snapshot();
  await db.close();
  // Renamed when complete, because another worker may be reading it.
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, Buffer.from(await made.arrayBuffer()));
  await rename(draft, file);
  return made;
}

/** Includes the version of the engine, because others cannot read its data, and the sources that create the snapshot. */
function fingerprint(migrations: readonly Migration[]): string {
  const hash = createHash('sha256').update('pglite 0.5.14');
  for (const part of [...SOURCES, ...migrations.map(({ sha256 }) => sha256)]) {
    hash.update(part);
  }
  return hash.digest('hex').slice(0, 16);
}

async function onServer(server: string, migrations: readonly Migration[], poolSize: number): Promise<TestDatabase> {
  const template = `facteur_template_${fingerprint(migrations)}`;
  const name = `facteur_test_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
  await asAdmin(server, async (admin) => {
    await makeTemplate(server, admin, { template, migrations });
    await admin.query({ text: `CREATE DATABASE ${name} TEMPLATE ${template}` });
  });
  const dsn = withDatabase(server, name);
  const db = openTestPostgres(dsn, { poolSize });
  return {
    db,
    dsn,
    close: async () => {
      await db.close();
      await asAdmin(server, (admin) => admin.query({ text: `DROP DATABASE IF EXISTS ${name} WITH (FORCE)` }));
    },
  };
}

interface Template {
  readonly template: string;
  readonly migrations: readonly Migration[];
}

/** Creates the template once, in the first caller. It gets its final name when it is complete. */
async function makeTemplate(server: string, admin: Admin, { template, migrations }: Template): Promise<void> {
  const there = { text: 'SELECT FROM pg_database WHERE datname = $1', values: [template] };
  if ((await admin.query(there)).rowCount > 0) {
    return;
  }
  await admin.query({ text: 'SELECT pg_advisory_lock(hashtext($1))', values: [template] });
  if ((await admin.query(there)).rowCount === 0) {
    await admin.query({ text: `DROP DATABASE IF EXISTS ${template}_draft` });
    await admin.query({ text: `CREATE DATABASE ${template}_draft TEMPLATE template0` });
    const draft = openTestPostgres(withDatabase(server, `${template}_draft`), { poolSize: 1 });
    await migrate(draft, migrations);
    await draft.close();
    await admin.query({ text: `ALTER DATABASE ${template}_draft RENAME TO ${template}` });
  }
  await admin.query({ text: 'SELECT pg_advisory_unlock(hashtext($1))', values: [template] });
}

type Admin = Pick<Database, 'query'>;

/** Uses a session, because creating a database can exceed the statement timeout. */
async function asAdmin<T>(server: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const db = openTestPostgres(server, { poolSize: 1 });
  try {
    return await db.session(work);
  } finally {
    await db.close();
  }
}
