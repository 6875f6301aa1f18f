import type { Queryable } from '../../src/clients/postgres/database.ts';

/** A clock of the database that a test can set forward. */
export interface DatabaseClock {
  /** Sets the clock this far ahead of the real time. */
  setAhead(ms: number): Promise<void>;
  /** Removes everything again, for a database that other tests use afterwards. */
  remove(): Promise<void>;
}

/** Replaces `now()` in all statements and defaults of an embedded database, which has one session, with a test's clock. */
export async function turnableClock(db: Queryable): Promise<DatabaseClock> {
  const { rows } = await db.query<{ path: string }>({ text: `SELECT current_setting('search_path') AS path` });
  for (const text of [
    'CREATE SCHEMA IF NOT EXISTS test_clock',
    'CREATE TABLE IF NOT EXISTS test_clock.ahead (by interval NOT NULL)',
    'TRUNCATE test_clock.ahead',
    `INSERT INTO test_clock.ahead VALUES ('0')`,
    `CREATE OR REPLACE FUNCTION test_clock.now() RETURNS timestamptz LANGUAGE sql STABLE
      AS 'SELECT pg_catalog.now() + by FROM test_clock.ahead'`,
    // If the catalog is named, it is not searched first.
    'SET search_path = test_clock, pg_catalog, public',
    // A default was bound to the catalog's function when its table was created.
    rebind('pg_catalog.now()', 'test_clock.now()'),
  ]) {
    await db.query({ text });
  }
  return {
    setAhead: async (ms) => {
      const text = 'UPDATE test_clock.ahead SET by = make_interval(secs => $1)';
      await db.query({ text, values: [ms / 1000] });
    },
    remove: async () => {
      await db.query({ text: `SELECT set_config('search_path', $1, false)`, values: [rows[0]?.path] });
      await db.query({ text: rebind('test_clock.now()', 'pg_catalog.now()') });
      await db.query({ text: 'DROP SCHEMA test_clock CASCADE' });
    },
  };
}

/** A statement that replaces the default of all columns with a given one. */
function rebind(from: string, to: string): string {
  return `DO $$
    DECLARE
      command text;
    BEGIN
      FOR command IN
        SELECT format('ALTER TABLE %I.%I ALTER %I SET DEFAULT ${to}', table_schema, table_name, column_name)
        FROM information_schema.columns WHERE column_default = '${from}'
      LOOP
        EXECUTE command;
      END LOOP;
    END $$`;
}
