import type { Queryable } from '../../src/clients/postgres/database.ts';

/** A clock of the database that a test can turn forward. */
export interface DatabaseClock {
  /** So far ahead of the real time, from now on. */
  setAhead(ms: number): Promise<void>;
}

/** Lets `now()` in every statement and default of an embedded database, which has one session, go by a clock of the test's. */
export async function turnableClock(db: Queryable): Promise<DatabaseClock> {
  for (const text of [
    'CREATE SCHEMA IF NOT EXISTS test_clock',
    'CREATE TABLE IF NOT EXISTS test_clock.ahead (by interval NOT NULL)',
    'TRUNCATE test_clock.ahead',
    `INSERT INTO test_clock.ahead VALUES ('0')`,
    `CREATE OR REPLACE FUNCTION test_clock.now() RETURNS timestamptz LANGUAGE sql STABLE
      AS 'SELECT pg_catalog.now() + by FROM test_clock.ahead'`,
    // Named, the catalog is not searched before all others.
    'SET search_path = test_clock, pg_catalog, public',
    // A default was bound to the catalog's when its table was made.
    `DO $$
      DECLARE
        command text;
      BEGIN
        FOR command IN
          SELECT format('ALTER TABLE %I.%I ALTER %I SET DEFAULT test_clock.now()', table_schema, table_name, column_name)
          FROM information_schema.columns WHERE column_default = 'pg_catalog.now()'
        LOOP
          EXECUTE command;
        END LOOP;
      END $$`,
  ]) {
    await db.query({ text });
  }
  return {
    setAhead: async (ms) => {
      const text = 'UPDATE test_clock.ahead SET by = make_interval(secs => $1)';
      await db.query({ text, values: [ms / 1000] });
    },
  };
}
