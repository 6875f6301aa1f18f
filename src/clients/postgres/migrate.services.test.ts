import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { schemaFile, schemaText } from '../../../scripts/schema-text.ts';
import { MIGRATIONS, openTestPostgres } from '../../../test/support/database.ts';
import { emptyDatabase } from '../../../test/support/empty-database.ts';
import { makeGoDatabase } from '../../../test/support/go-database.ts';
import { lockWait } from '../../../test/support/lock-waits.ts';
import { describeMigrations } from '../../../test/support/migration-contract.ts';
import type { Database } from './database.ts';
import { loadMigrations, parseMigration } from './load-migrations.ts';
import { migrate } from './migrate.ts';

describeMigrations('a server');

const made = emptyDatabase();

test('twenty concurrent runners apply each migration once', async () => {
  const migrations = await loadMigrations(MIGRATIONS);
  const runners = Array.from({ length: 20 }, () => openTestPostgres(made.dsn, { poolSize: 1 }));
  const results = await Promise.all(runners.map((runner) => migrate(runner, migrations)));
  expect(results.filter((applied) => applied.length > 0)).toHaveLength(1);
  expect(results.flat().map(({ version }) => version)).toEqual(migrations.map(({ version }) => version));
  await Promise.all(runners.map((runner) => runner.close()));
});

test('twenty concurrent runners apply each migration that a Go database lacks once', async () => {
  await makeGoDatabase(made.db, 2);
  const migrations = await loadMigrations(MIGRATIONS);
  const runners = Array.from({ length: 20 }, () => openTestPostgres(made.dsn, { poolSize: 1 }));
  const results = await Promise.all(runners.map((runner) => migrate(runner, migrations)));
  expect(results.flat().map(({ version }) => version)).toEqual(migrations.slice(2).map(({ version }) => version));
  await Promise.all(runners.map((runner) => runner.close()));
});

test('the next runner takes over from one that was killed halfway', async () => {
  const migrations = await loadMigrations(MIGRATIONS);
  const url = new URL(made.dsn);
  url.searchParams.set('application_name', 'doomed');
  const doomed = openTestPostgres(url.href, { poolSize: 1 });
  // The last of the migrations hangs until its connection is killed.
  const hanging = [
    ...migrations.slice(0, 3),
    { ...migrations[3]!, sql: 'CREATE TABLE public.half (a int); SELECT pg_sleep(60);' },
  ];
  const failure = migrate(doomed, hanging).catch((error: unknown) => error);
  await expect
    .poll(async () => {
      const text = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doomed' AND query LIKE '%pg_sleep%'`;
      return (await made.db.query({ text })).rowCount;
    })
    .toBe(1);
  expect(await failure).toMatchObject({ code: 'postgres.unavailable' });
  const applied = await migrate(made.db, migrations);
  expect(applied[0]?.version).toBe(4);
  expect((await made.db.query({ text: `SELECT to_regclass('half') AS half` })).rows).toEqual([{ half: null }]);
  await doomed.close();
});

test('times out waiting for another runner, and says so', async () => {
  const migrations = await loadMigrations(MIGRATIONS);
  await made.db.session(async (session) => {
    await session.query({ text: 'SELECT pg_advisory_lock($1)', values: [0x66_61_63_74_65_75] });
    const other = openTestPostgres(made.dsn, { poolSize: 1 });
    await expect(migrate(other, migrations, { lockWaitMs: 200 })).rejects.toThrow(
      'timed out waiting for another process',
    );
    await other.close();
  });
});

test('does not wait for the lock of a table in use, which would block everyone else', async () => {
  await makeGoDatabase(made.db, 1);
  const migrations = await loadMigrations(MIGRATIONS);
  const other = openTestPostgres(made.dsn, { poolSize: 1 });
  await made.db.transaction(async (reader) => {
    await reader.query({ text: 'SELECT count(*) FROM codex_kb.ideas' });
    const attempt = migrate(other, migrations, { tableWaitMs: 100 });
    await expect(attempt).rejects.toMatchObject({
      code: 'postgres.unavailable',
      retryable: true,
      sqlState: '55P03',
      message: expect.stringContaining('000002_codex_kb_intake_constraints.sql failed'),
    });
  });
  expect((await migrate(other, migrations))[0]?.version).toBe(2);
  await other.close();
});

describe('a migration without a transaction', () => {
  const steps = [
    parseMigration('000001_things.sql', 'CREATE TABLE public.things (a int);'),
    parseMigration('000002_column.sql', '-- no-transaction\nALTER TABLE public.things ADD COLUMN IF NOT EXISTS b int;'),
    parseMigration('000003_index.sql', '-- no-transaction\nCREATE INDEX CONCURRENTLY things_a ON public.things (a);'),
  ] as const;

  test('does not wait for the lock of a table in use, either', async () => {
    const other = openTestPostgres(made.dsn, { poolSize: 1 });
    await migrate(made.db, steps.slice(0, 1));
    await made.db.transaction(async (reader) => {
      await reader.query({ text: 'SELECT count(*) FROM public.things' });
      await expect(migrate(other, steps, { tableWaitMs: 100 })).rejects.toMatchObject({
        code: 'postgres.unavailable',
        retryable: true,
        sqlState: '55P03',
        message: expect.stringContaining('000002_column.sql failed'),
      });
    });
    expect(await migrate(other, steps)).toHaveLength(2);
    await other.close();
  });

  test('builds an index, however long the table is in use', async () => {
    await made.db.query({
      text: `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = %L', current_database(), '1ms'); END $$`,
    });
    await migrate(made.db, steps.slice(0, 2));
    const other = openTestPostgres(made.dsn, { poolSize: 1 });
    const { building } = await made.db.transaction(async (writer) => {
      await writer.query({ text: 'INSERT INTO public.things VALUES (1)' });
      const migrating = migrate(other, steps, { tableWaitMs: 1 });
      await Promise.race([migrating, lockWait(made.db)]);
      return { building: migrating };
    });
    expect(await building).toHaveLength(1);
    await other.close();
  });
});

test('the schema on a server is the one in the repository', async () => {
  await migrate(made.db, await loadMigrations(MIGRATIONS));
  await expect(await schemaFile(made.db)).toMatchFileSnapshot('../../../migrations/schema.sql');
});

describe('as a role without superuser rights', () => {
  let role: string;
  let db: Database;

  beforeEach(async () => {
    role = `role_${randomBytes(6).toString('hex')}`;
    await made.db.query({ text: `CREATE ROLE ${role} LOGIN PASSWORD 'pw'` });
    await made.db.query({
      text: `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO ${role}', current_database()); END $$`,
    });
    db = await asRole(role);
  });

  afterEach(async () => {
    await db.close();
    await made.db.query({ text: `REASSIGN OWNED BY ${role} TO postgres; DROP OWNED BY ${role}; DROP ROLE ${role}` });
  });

  async function asRole(name: string): Promise<Database> {
    const url = new URL(made.dsn);
    url.username = name;
    url.password = 'pw';
    return openTestPostgres(url.href);
  }

  test('works if the extension exists, without a role called facteur', async () => {
    await made.db.query({ text: 'CREATE EXTENSION vector' });
    expect(await migrate(db, await loadMigrations(MIGRATIONS))).not.toHaveLength(0);
  });

  test('says what to run if the extension is missing', async () => {
    await expect(migrate(db, await loadMigrations(MIGRATIONS))).rejects.toThrow(
      /^000001_init_codex_kb\.sql failed: .*permission denied to create extension.*CREATE EXTENSION vector; as a superuser/s,
    );
  });

  test('restores a dump of the schema with an empty search path, as pg_dump and pg_restore do', async () => {
    await migrate(made.db, await loadMigrations(MIGRATIONS));
    const dump = await schemaText(made.db, 'pg_catalog');
    await made.db.query({ text: 'DROP SCHEMA facteur, codex_kb CASCADE' });
    await db.query({ text: `SET search_path = pg_catalog; ${dump}` });
    expect(await schemaText(made.db, 'pg_catalog')).toBe(dump);
  });

  test('goose finds its table, even if our schema is the first on the search path', async () => {
    await made.db.query({ text: 'CREATE EXTENSION vector' });
    // A role called facteur gets this automatically, from "$user".
    await made.db.query({ text: `ALTER ROLE ${role} SET search_path = facteur, public` });
    const fresh = await asRole(role);
    await makeGoDatabase(fresh, 3);
    await migrate(fresh, await loadMigrations(MIGRATIONS));
    const { rows } = await fresh.query({
      text: `SELECT schemaname, (SELECT array_agg(version_id::int ORDER BY id) FROM goose_db_version) AS versions
        FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'goose_db_version'`,
    });
    expect(rows).toEqual([{ schemaname: 'facteur', versions: [0, 1, 2, 3] }]);
    await fresh.close();
  });
});

test('a role called facteur, besides ours, may use the knowledge base', async () => {
  const [first] = await loadMigrations(MIGRATIONS);
  await made.db.session(async (session) => {
    // Roles belong to the whole server. The transaction is rolled back, so no other test sees this one.
    await session.query({
      text: `BEGIN;
        DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'facteur') THEN CREATE ROLE facteur; END IF; END $$`,
    });
    await session.query({ text: first!.sql });
    const { rows } = await session.query({
      text: `SELECT has_table_privilege('facteur', 'codex_kb.ideas', 'INSERT') AS ideas,
        has_sequence_privilege('facteur', 'codex_kb.run_events_id_seq', 'USAGE') AS events`,
    });
    expect(rows).toEqual([{ ideas: true, events: true }]);
  });
});

test('a run that an older replica records while its table is rebuilt is kept', async () => {
  const migrations = await loadMigrations(MIGRATIONS);
  await migrate(
    made.db,
    migrations.filter(({ version }) => version < 30),
  );
  const older = openTestPostgres(made.dsn, { poolSize: 1 });
  const record = (id: string) => ({
    text: `INSERT INTO facteur.runs (run_id, delivery_id, delivery_key, kind, command, door, state, namespace, workflow_name, plan,
        correlation_id, traceparent, user_id, guild_id, channel_id, accepted_at, due_at)
      VALUES (gen_random_uuid(), $1, $1, 'command', 'plan', 'http', 'queued', 'argo', $1, '{}', '', '', '', '', '', now(), now())`,
    values: [id],
  });
  await older.query(record('before'));
  const migrated = await older.transaction(async (tx) => {
    await tx.query(record('meanwhile'));
    const running = migrate(made.db, migrations);
    await lockWait(made.db);
    return { running };
  });
  await migrated.running;
  const { rows } = await made.db.query({
    text: 'SELECT delivery_id FROM facteur.runs JOIN facteur.open_runs USING (run_id) ORDER BY 1',
  });
  expect(rows).toEqual([{ delivery_id: 'before' }, { delivery_id: 'meanwhile' }]);
  await older.close();
});
