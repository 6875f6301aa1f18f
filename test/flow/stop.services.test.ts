import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { FacteurProcess } from '../support/facteur-process.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase({ migrated: false });
});
afterAll(() => database.close());

/** The lock that `src/clients/postgres/migrate.ts` takes. */
const LOCK = 0x66_61_63_74_65_75;

test.each([
  ['serve', [], 0],
  ['migrate', [], 1],
] as const)(
  'while another process is migrating, %s exits on a signal, and starts nothing afterwards',
  async (command, args, code) => {
    const { db, dsn } = database;
    const env = { FACTEUR_POSTGRES_DSN: dsn, FACTEUR_DISABLE_DISPATCHER: 'true' };
    const waiting = async () => {
      const { rows } = await db.query<{ count: number }>({
        text: `SELECT count(*)::int FROM pg_stat_activity
          WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%' AND pid <> pg_backend_pid()`,
      });
      return rows[0]?.count;
    };
    const facteur = await db.session(async (session) => {
      await session.query({ text: 'SELECT pg_advisory_lock($1)', values: [LOCK] });
      // Makes another statement the last one of this session.
      await session.query({ text: 'SELECT 1' });
      const started = new FacteurProcess({ env, args: [command, ...args] });
      await expect.poll(waiting).toBe(1);
      expect(await started.stop()).toEqual({ code, signal: null });
      return started;
    });
    const log = facteur.log.join('\n');
    expect(log).not.toContain('migration applied');
    expect(log).not.toContain('"message":"ready"');
    expect(log).toContain(code === 0 ? '"message":"stopped"' : 'stopped before all migrations were applied');
    const { rows } = await db.query({ text: `SELECT to_regclass('facteur.runs') AS runs` });
    expect(rows).toEqual([{ runs: null }]);
  },
);
