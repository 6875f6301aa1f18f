import { test as plain } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';
import { createTestDatabase, openTestPostgres } from './database.ts';
import { emptyLedger } from './ledger.ts';

/**
 * Shared by all tests of a process, because an embedded database takes a second to start; its DSN is for a second
 * connection to a real server.
 */
export const database = await createTestDatabase();
/** The database for tests that use this `test`: with all migrations, and empty at the start of each test. */
export const { db } = database;

/** A test that starts with an empty ledger. */
export const test = plain
  .extend('closed', { scope: 'worker', auto: true }, ({}, { onCleanup }) => onCleanup(() => database.close()))
  .extend('emptied', { auto: true }, () => emptyLedger(db));

/** A separate connection: the server counts its statistics reliably. */
export async function ownConnection(): Promise<{ db: Database; close(): Promise<void> }> {
  const { dsn } = database;
  if (dsn.startsWith('pglite:')) {
    return { db, close: async () => undefined };
  }
  const own = openTestPostgres(dsn, { poolSize: 1 });
  return { db: own, close: () => own.close() };
}

/** The number of rows of a table read so far, by any scan. */
export async function rowsRead(counted: Database, table = 'facteur.runs'): Promise<number> {
  await counted.query({ text: 'SELECT pg_stat_force_next_flush()' });
  const { rows } = await counted.query<{ read: number }>({
    text: `SELECT (seq_tup_read + idx_tup_fetch)::int AS read FROM pg_stat_user_tables WHERE relid = $1::regclass`,
    values: [table],
  });
  return rows[0]?.read ?? Number.NaN;
}
