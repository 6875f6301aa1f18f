import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { schemaText } from '../../scripts/schema-text.ts';
import type { Database } from '../../src/clients/postgres/database.ts';
import { loadMigrations, type Migration, parseMigration } from '../../src/clients/postgres/load-migrations.ts';
import { migrate } from '../../src/clients/postgres/migrate.ts';
import { searchReflections } from '../../src/ledger/search-reflections.ts';
import { createTestDatabase, MIGRATIONS, type TestDatabase } from './database.ts';
import { goRows, makeGoDatabase } from './go-database.ts';

/** Drops everything that a test created, including extensions: starting another embedded engine takes much longer. */
const EMPTY = `
DO $$
DECLARE name text;
BEGIN
  FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', name);
  END LOOP;
  CREATE SCHEMA public;
END $$`;

/** The contract of migrations, on any engine. */
export function describeMigrations(engine: string): void {
  describe(`migrations on ${engine}`, () => {
    let migrations: Migration[];
    /** The schema of a new database with all migrations. */
    let shape: string;
    let made: TestDatabase;
    let db: Database;

    beforeAll(async () => {
      migrations = await loadMigrations(MIGRATIONS);
      const fresh = await createTestDatabase();
      shape = await schemaText(fresh.db);
      await fresh.close();
      made = await createTestDatabase({ migrated: false });
      db = made.db;
    });

    beforeEach(async () => {
      await db.query({ text: EMPTY });
    });

    afterAll(async () => {
      await made.close();
    });

    const versions = (applied: readonly { version: number }[]): number[] => applied.map(({ version }) => version);
    const all = (): number[] => versions(migrations);
    const goose = async (table: string): Promise<string[]> => {
      const { rows } = await db.query<{ row: string }>({
        text: `SELECT version_id || CASE WHEN is_applied THEN '' ELSE ' undone' END AS row FROM ${table} ORDER BY id`,
      });
      return rows.map(({ row }) => row);
    };

    test('an empty database gets all migrations once, and the Go service has none left to apply', async () => {
      const applied = await migrate(db, migrations);
      expect(applied).toEqual(migrations.map(({ version, name }) => ({ version, name, status: 'applied' })));
      expect(await migrate(db, migrations)).toEqual([]);
      expect(await goose('public.goose_db_version')).toEqual(['0', '1', '2', '3']);
      expect(await goose('facteur.goose_db_version')).toEqual(['0', '1', '2', '3']);
    });

    test.each([1, 2, 3] as const)(
      'a database with %i of the Go service’s migrations gets the rest, keeps its rows, and has the schema of a new one',
      async (version) => {
        await makeGoDatabase(db, version);
        // The second migration gives every older run a delivery id; nothing else of a row may change.
        const fresh = version === 1 ? ['delivery_id'] : [];
        const before = await goRows(db, fresh);
        expect(versions(await migrate(db, migrations))).toEqual(all().slice(version));
        expect(await goRows(db, fresh)).toEqual(before);
        expect(await schemaText(db)).toBe(shape);
        expect(await goose('public.goose_db_version')).toEqual(['0', '1', '2', '3']);
        expect(await goose('facteur.goose_db_version')).toEqual(['0', '1', '2', '3']);
        expect(await migrate(db, migrations)).toEqual([]);
      },
    );

    test('finishes a half-applied migration of the Go service', async () => {
      await makeGoDatabase(db, 2);
      await db.query({
        text: `DELETE FROM goose_db_version WHERE version_id = 2;
          ALTER TABLE codex_kb.task_runs DROP CONSTRAINT task_runs_delivery_unique;
          CREATE UNIQUE INDEX idx_task_runs_delivery ON codex_kb.task_runs (delivery_id)`,
      });
      const before = await goRows(db);
      expect(versions(await migrate(db, migrations))).toEqual(all().slice(1));
      expect(await goRows(db)).toEqual(before);
    });

    test('applies a migration again that goose rolled back', async () => {
      await makeGoDatabase(db, 2);
      await db.query({ text: 'INSERT INTO goose_db_version (version_id, is_applied) VALUES (2, false)' });
      expect(versions(await migrate(db, migrations))).toEqual(all().slice(1));
      expect(await goose('public.goose_db_version')).toEqual(['0', '1', '2', '2 undone', '2', '3']);
    });

    test('concurrent processes apply each migration once', async () => {
      const results = await Promise.all(Array.from({ length: 8 }, () => migrate(db, migrations)));
      expect(results.flatMap(versions).toSorted((a, b) => a - b)).toEqual(all());
    });

    test('an older build works with a newer database, and then the newer one does again', async () => {
      const name = `${String(migrations.length + 1).padStart(6, '0')}_added.sql`;
      const newer = [...migrations, parseMigration(name, 'SELECT 1;')];
      await migrate(db, newer);
      expect(await migrate(db, migrations)).toEqual([]);
      expect(await migrate(db, newer)).toEqual([]);
    });

    test('an older build refuses a database with a breaking migration, and the error names it', async () => {
      const name = `${String(migrations.length + 1).padStart(6, '0')}_moved.sql`;
      const moved = parseMigration(name, '-- breaking\nSELECT 1;');
      await migrate(db, [...migrations, moved]);
      await expect(migrate(db, migrations)).rejects.toMatchObject({
        code: 'migrations.newer',
        message: expect.stringContaining(`it has ${name}`),
      });
    });

    test('refuses a changed file of an applied migration', async () => {
      await migrate(db, migrations);
      const changed = migrations.map((migration) =>
        migration.version === 2 ? parseMigration(migration.name, `${migration.sql}-- more\n`) : migration,
      );
      await expect(migrate(db, changed)).rejects.toMatchObject({ code: 'migrations.changed' });
    });

    test('a failing migration is rolled back and named in the error, and earlier ones stay', async () => {
      const bad = [
        parseMigration('000001_good.sql', 'CREATE TABLE public.good (a int);'),
        parseMigration('000002_bad.sql', 'CREATE TABLE public.half (a int); SELECT nonsense;'),
      ];
      await expect(migrate(db, bad)).rejects.toThrow(/^000002_bad\.sql failed: .*nonsense/);
      const { rows } = await db.query({
        text: `SELECT to_regclass('good')::text AS good, to_regclass('half')::text AS half`,
      });
      expect(rows).toEqual([{ good: 'good', half: null }]);
      const mended = [...bad.slice(0, 1), parseMigration('000002_bad.sql', 'CREATE TABLE public.half (a int);')];
      expect(versions(await migrate(db, mended))).toEqual([2]);
    });

    test('each run gets the key of its family, with a trimmed id unless another run already has it', async () => {
      const upTo = migrations.findIndex(({ name }) => name.includes('delivery_families'));
      await migrate(db, migrations.slice(0, upTo));
      await db.query({
        text: `INSERT INTO facteur.runs (run_id, delivery_id, kind, command, door, state, namespace, workflow_name,
            correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at, due_at)
          SELECT gen_random_uuid(), id, kind, '', door, 'queued', 'n', 'w' || place, '', '', '', '', '', to_timestamp(place), now()
          FROM unnest(ARRAY[' a', E'\ta', 'b', 'b ', 'c', 'd', 'e', 'retry:f'], ARRAY['codex', 'codex', 'codex', 'codex', 'codex', 'command', 'command', 'command'],
            ARRAY['http', 'http', 'http', 'http', 'http', 'kafka', 'discord', 'discord']) WITH ORDINALITY AS t(id, kind, door, place)`,
      });
      await migrate(db, migrations);
      const { rows } = await db.query({
        text: `SELECT delivery_id, delivery_key FROM facteur.runs ORDER BY accepted_at`,
      });
      expect(rows).toEqual([
        { delivery_id: ' a', delivery_key: 'codex:a' },
        { delivery_id: '\ta', delivery_key: 'codex:\ta' },
        { delivery_id: 'b', delivery_key: 'codex:b' },
        { delivery_id: 'b ', delivery_key: 'codex:b ' },
        { delivery_id: 'c', delivery_key: 'codex:c' },
        { delivery_id: 'd', delivery_key: 'command:d' },
        { delivery_id: 'e', delivery_key: 'discord:e' },
        { delivery_id: 'retry:f', delivery_key: 'retry:f' },
      ]);
    });

    test('queued, live and canceled runs keep their place', async () => {
      const upTo = migrations.findIndex(({ name }) => name.includes('open_runs'));
      await migrate(db, migrations.slice(0, upTo));
      await db.query({
        text: `INSERT INTO facteur.runs (run_id, delivery_id, kind, command, door, state, previous_state, namespace, workflow_name,
            correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at, attempts, cancel_requested_by, due_at, claimed_until)
          SELECT gen_random_uuid(), id, 'command', '', 'http', state, previous, 'n', id, '', '', '', '', '', now(), attempts, canceled,
            CASE WHEN due THEN to_timestamp(1) END, CASE WHEN attempts > 0 THEN to_timestamp(2) END
          FROM (VALUES ('waits', 'queued', NULL, 0, NULL, true), ('tried', 'queued', NULL, 3, NULL, true), ('given-up', 'queued', NULL, 11, NULL, true),
            ('runs', 'running', 'submitted', 0, NULL, false), ('stops', 'running', 'submitted', 0, 'ada', true), ('late', 'canceled', 'queued', 0, 'ada', true),
            ('over', 'succeeded', 'running', 0, NULL, false), ('failed', 'failed', 'running', 0, NULL, false)) AS t(id, state, previous, attempts, canceled, due)`,
      });
      await migrate(db, migrations);
      const { rows } = await db.query({
        text: `SELECT delivery_id AS id, line, in_cluster, extract(epoch FROM due_at)::int AS due, extract(epoch FROM claimed_until)::int AS claimed, failure
          FROM facteur.runs LEFT JOIN facteur.open_runs USING (run_id) ORDER BY id`,
      });
      const over = { line: null, in_cluster: null, due: null, claimed: null, failure: null };
      const open = { in_cluster: false, due: 1, claimed: null, failure: null };
      expect(rows).toEqual([
        { ...over, id: 'failed', failure: 'failed' },
        { ...open, id: 'given-up', line: 'create', claimed: 2 },
        { ...open, id: 'late', line: 'stop', failure: 'canceled' },
        { ...over, id: 'over' },
        { ...open, id: 'runs', line: 'create', in_cluster: true, due: null },
        { ...open, id: 'stops', line: 'stop', in_cluster: true },
        { ...open, id: 'tried', line: 'retry', claimed: 2 },
        { ...open, id: 'waits', line: 'create' },
      ]);
    });

    test('each use of a reflection gets the time of its decision', async () => {
      const upTo = migrations.findIndex(({ name }) => name.includes('latest_uses'));
      await makeGoDatabase(db, 3);
      await migrate(db, migrations.slice(0, upTo));
      await db.query({
        text: `WITH run AS (
            INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, namespace, workflow_name,
              correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at)
            SELECT gen_random_uuid(), 'd' || n, 'd' || n, 'command', '', '', 'queued', '', 'w' || n, '', '', '', '', '', now()
            FROM generate_series(1, 3) n RETURNING run_id
          ), decided AS (
            INSERT INTO facteur.retrievals (run_id, strategy, repository, asked_by, decided_at)
            SELECT run_id, 'retrieve', '', '', now() - make_interval(days => row_number() OVER ()::int) FROM run
          )
          INSERT INTO facteur.reflection_uses (run_id, reflection_id, place) SELECT run_id, id, 1 FROM run, codex_kb.reflections`,
      });
      await migrate(db, migrations);
      const { rows } = await db.query({
        text: `SELECT count(*)::int, count(DISTINCT u.decided_at)::int AS times, bool_and(u.decided_at = x.decided_at) AS same
          FROM facteur.reflection_uses u JOIN facteur.retrievals x USING (run_id)`,
      });
      expect(rows).toEqual([{ count: 3, times: 3, same: true }]);
    });

    test('reflections of the Go service are found by their words at once, and are quarantined', async () => {
      await makeGoDatabase(db, 3);
      await db.query({
        text: `INSERT INTO codex_kb.reflections (task_run_id, reflection_type, content)
          SELECT task_run_id, 'critique', 'Compile before you push.' FROM codex_kb.reflections`,
      });
      await migrate(db, migrations);
      const { rows } = await db.query({
        text: `SELECT content, embedding IS NULL AS bare, signs IS NULL AS unsigned, repository, state FROM codex_kb.reflections r
          JOIN facteur.reflection_standing ON reflection_id = r.id ORDER BY content`,
      });
      const known = { repository: 'acme/rocket', state: 'quarantined' };
      const compile = { content: 'Compile before you push.', bare: true, unsigned: true, ...known };
      const lint = { content: 'Run the linter before the tests.', bare: false, unsigned: false, ...known };
      expect(rows).toEqual([compile, lint]);
      for (const [text, content] of [
        ['compiling', compile.content],
        ['linters', lint.content],
      ] as const) {
        expect(await searchReflections(db, { text, repository: 'Acme/Rocket', limit: 5 })).toMatchObject([{ content }]);
      }
    });

    test('a too old pgvector: the error names the required version', async () => {
      const upTo = migrations.findIndex(({ name }) => name.includes('search_reflections'));
      await migrate(db, migrations.slice(0, upTo));
      await db.query({ text: `UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'` });
      await expect(migrate(db, migrations)).rejects.toThrow(/: pgvector 0\.8 or newer is needed, found 0\.7\.4: /);
      await db.query({ text: `UPDATE pg_extension SET extversion = '0.10.0' WHERE extname = 'vector'` });
      expect(versions(await migrate(db, migrations))).toEqual(all().slice(upTo));
    });

    test('an extension in a schema outside the search path: the error says where it is and what to run', async () => {
      await db.query({ text: 'CREATE SCHEMA "Ext"; CREATE EXTENSION vector SCHEMA "Ext"' });
      await expect(migrate(db, migrations)).rejects.toThrow(
        /^000001_init_codex_kb\.sql failed: .*pgvector is in the schema "Ext", .*ALTER EXTENSION vector SET SCHEMA public;$/s,
      );
      await db.query({ text: 'ALTER EXTENSION vector SET SCHEMA public' });
      expect(versions(await migrate(db, migrations))).toEqual(all());
    });

    test('an interrupted index build is completed by the next run', async () => {
      const upTo = migrations.findIndex(({ name }) => name.includes('hnsw'));
      await migrate(db, migrations.slice(0, upTo));
      // The state after a killed CREATE INDEX CONCURRENTLY.
      await db.query({
        text: `CREATE INDEX idx_reflections_embedding_hnsw ON codex_kb.reflections USING hnsw (embedding vector_cosine_ops);
          UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'codex_kb.idx_reflections_embedding_hnsw'::regclass`,
      });
      expect(await schemaText(db)).toContain('-- invalid');
      expect(versions(await migrate(db, migrations))).toEqual(all().slice(upTo));
      expect(await schemaText(db)).not.toContain('-- invalid');
    });
  });
}
