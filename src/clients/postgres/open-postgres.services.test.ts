import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { describeDatabase } from '../../../test/support/database-contract.ts';
import { openTestPostgres } from '../../../test/support/database.ts';
import { emptyDatabase } from '../../../test/support/empty-database.ts';
import { proxyTo } from '../../../test/support/tcp-proxy.ts';
import type { Database } from './database.ts';
import { openPostgres } from './open-postgres.ts';

describeDatabase('a server');

const PID = { text: 'SELECT pg_backend_pid() AS pid' };

const made = emptyDatabase();

async function pid(db: Pick<Database, 'query'>): Promise<number> {
  return (await db.query<{ pid: number }>(PID)).rows[0]?.pid ?? 0;
}

async function kill(backend: number): Promise<void> {
  await made.db.query({ text: 'SELECT pg_terminate_backend($1)', values: [backend] });
}

describe('the pool', () => {
  test('keeps a connection after a refused statement', async () => {
    const db = openTestPostgres(made.dsn, { poolSize: 1 });
    const before = await pid(db);
    await expect(db.query({ text: 'SELECT 1/0' })).rejects.toMatchObject({ code: 'postgres.invalid' });
    expect(await pid(db)).toBe(before);
    await db.close();
  });

  test('reports unavailable when the connection dies during a statement, and reconnects', async () => {
    const db = openTestPostgres(made.dsn, { poolSize: 1 });
    const backend = await pid(db);
    const sleeping = db.query({ text: 'SELECT pg_sleep(30)' });
    const failure = sleeping.catch((error: unknown) => error);
    await vi.waitFor(async () => {
      const { rowCount } = await made.db.query({
        text: `SELECT FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%sleep%'`,
        values: [backend],
      });
      expect(rowCount).toBe(1);
    });
    await kill(backend);
    expect(await failure).toMatchObject({ code: 'postgres.unavailable', retryable: true });
    expect(await pid(db)).not.toBe(backend);
    await db.close();
  });

  test('survives the death of idle connections', async () => {
    const lost: Error[] = [];
    const db = openPostgres({ dsn: made.dsn, random: () => 0, onLost: (error) => lost.push(error), poolSize: 1 });
    await kill(await pid(db));
    await vi.waitFor(() => expect(lost).not.toHaveLength(0));
    expect(await pid(db)).toBeGreaterThan(0);
    await db.close();
  });

  test('reports unavailable when the connection dies between two statements of a transaction', async () => {
    const db = openTestPostgres(made.dsn, { poolSize: 1 });
    const attempt = db.transaction(async (tx) => {
      const backend = await pid(tx);
      await kill(backend);
      await vi.waitFor(async () =>
        expect(
          (await made.db.query({ text: 'SELECT FROM pg_stat_activity WHERE pid = $1', values: [backend] })).rowCount,
        ).toBe(0),
      );
      await tx.query({ text: 'SELECT 1' });
    });
    await expect(attempt).rejects.toMatchObject({ code: 'postgres.unavailable' });
    expect(await pid(db)).toBeGreaterThan(0);
    await db.close();
  });

  test('reports unavailable when no connection becomes free in time', async () => {
    const db = openPostgres({
      dsn: made.dsn,
      random: () => 0,
      onLost: () => undefined,
      poolSize: 1,
      // The first connection must be open by then, too.
      connectTimeoutMs: 3000,
    });
    const gate = Promise.withResolvers<void>();
    const holding = db.transaction(() => gate.promise);
    await expect(db.query(PID)).rejects.toMatchObject({ code: 'postgres.unavailable' });
    gate.resolve();
    await holding;
    expect(await pid(db)).toBeGreaterThan(0);
    await db.close();
  });

  test('cancels a statement that takes too long, but not within a session', async () => {
    const db = openPostgres({
      dsn: made.dsn,
      random: () => 0,
      onLost: () => undefined,
      poolSize: 1,
      statementTimeoutMs: 100,
    });
    const slow = { text: 'SELECT pg_sleep(0.3)' };
    await expect(db.query(slow)).rejects.toMatchObject({ code: 'postgres.unavailable', sqlState: '57014' });
    await expect(db.session((session) => session.query(slow))).resolves.toMatchObject({ rowCount: 1 });
    await expect(db.query(slow)).rejects.toMatchObject({ sqlState: '57014' });
    await db.close();
  });

  test('overrides settings that an administrator made for the whole database', async () => {
    await made.db.query({
      text: `DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database());
        EXECUTE format('ALTER DATABASE %I SET transaction_timeout = %L', current_database(), '500ms');
        EXECUTE format('ALTER DATABASE %I SET idle_session_timeout = %L', current_database(), '30s');
        EXECUTE format('ALTER DATABASE %I SET datestyle = %L', current_database(), 'German');
        EXECUTE format('ALTER DATABASE %I SET extra_float_digits = 0', current_database());
        EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database());
      END $$`,
    });
    const db = openTestPostgres(made.dsn, { poolSize: 1 });
    expect((await db.query({ text: 'SHOW idle_session_timeout' })).rows).toEqual([{ idle_session_timeout: '0' }]);
    expect((await db.query({ text: 'SELECT to_timestamp(0) AS at' })).rows).toEqual([{ at: new Date(0) }]);
    const microseconds = 1_764_554_400_123_457;
    expect((await db.query({ text: `SELECT ${microseconds}::float8 AS at` })).rows).toEqual([{ at: microseconds }]);
    expect((await db.query({ text: String.raw`SELECT '\' AS text` })).rows).toEqual([{ text: '\\' }]);
    expect((await db.query({ text: 'SHOW transaction_isolation' })).rows).toEqual([
      { transaction_isolation: 'read committed' },
    ]);
    await expect(db.query({ text: 'SELECT pg_sleep(30)' })).rejects.toMatchObject({
      code: 'postgres.unavailable',
      retryable: true,
    });
    await db.session((session) => session.query({ text: 'SELECT pg_sleep(1)' }));
    await db.close();
  });

  test('gives up on a silent server', async () => {
    const proxy = await proxyTo(made.dsn);
    const db = openPostgres({
      dsn: proxy.dsn,
      random: () => 0,
      onLost: () => undefined,
      poolSize: 1,
      statementTimeoutMs: 100,
    });
    await pid(db);
    proxy.tcp.mute();
    await expect(pid(db)).rejects.toMatchObject({ code: 'postgres.unavailable', retryable: true });
    proxy.tcp.restore();
    expect(await pid(db)).toBeGreaterThan(0);
    await db.close();
    await proxy.tcp.close();
  });

  test('prepares a statement again after a change of the table', async () => {
    const db = openTestPostgres(made.dsn, { poolSize: 1 });
    await made.db.query({ text: 'CREATE TABLE things (a int)' });
    const all = { name: 'things', text: 'SELECT * FROM things' };
    await db.query(all);
    await made.db.query({ text: 'ALTER TABLE things ADD COLUMN b int' });
    await expect(db.query(all)).rejects.toMatchObject({ code: 'postgres.unavailable', retryable: true });
    await expect(db.query(all)).resolves.toMatchObject({ rows: [] });
    await db.close();
  });

  test('opens without a server; statements are unavailable until there is one', async () => {
    const proxy = await proxyTo(made.dsn);
    proxy.tcp.refuse();
    const db = openTestPostgres(proxy.dsn);
    await expect(pid(db)).rejects.toMatchObject({ code: 'postgres.unavailable', retryable: true });
    proxy.tcp.restore();
    expect(await pid(db)).toBeGreaterThan(0);
    await db.close();
    await proxy.tcp.close();
  });

  test('a rejected login is reported without the password', async () => {
    const url = new URL(made.dsn);
    url.username = 'nobody_here';
    url.password = 'hunter2';
    const db = openTestPostgres(url.href);
    const error: unknown = await db.query(PID).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'postgres.unavailable', sqlState: expect.stringMatching(/^28/) });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('hunter2');
    await db.close();
  });

  test('sslmode=prefer and no sslmode work on a server without TLS; require does not', async () => {
    const url = new URL(made.dsn);
    for (const mode of ['prefer', '']) {
      url.searchParams.set('sslmode', mode);
      const db = openTestPostgres(url.href);
      expect(await pid(db)).toBeGreaterThan(0);
      await db.close();
    }
    url.searchParams.set('sslmode', 'require');
    const db = openTestPostgres(url.href);
    await expect(pid(db)).rejects.toMatchObject({ code: 'postgres.unavailable' });
    await db.close();
  });

  test('settings in the DSN reach the session', async () => {
    const url = new URL(made.dsn);
    url.searchParams.set('search_path', 'pg_catalog, public');
    url.searchParams.set('application_name', 'somebody');
    const db = openTestPostgres(url.href);
    const text = `SELECT current_setting('search_path') AS path, current_setting('application_name') AS app`;
    expect((await db.query({ text })).rows).toEqual([{ path: 'pg_catalog, public', app: 'somebody' }]);
    await db.close();
  });
});

describe('DSNs', () => {
  /** A case with this server and this test's database. */
  async function caseDsn(name: string): Promise<string> {
    const text = await readFile(new URL(`../../../test/cases/${name}.dsn.txt`, import.meta.url), 'utf8');
    const { port, password, pathname } = new URL(made.dsn);
    return text.trim().replace('PGPORT', port).replace('PGPASSWORD', password).replace('/DB', pathname);
  }

  test('uses the second of two servers if the first is down', async () => {
    const db = openTestPostgres(await caseDsn('dsn-two-hosts'));
    expect(await pid(db)).toBeGreaterThan(0);
    const heard: string[] = [];
    await db.listen('news', (payload) => heard.push(payload));
    await made.db.query({ text: `NOTIFY news, 'x'` });
    await vi.waitFor(() => expect(heard).toEqual(['x']));
    await db.close();
  });

  test('a statement_timeout may be as long as the server allows', async () => {
    const db = openTestPostgres(`${made.dsn}&statement_timeout=2147483647`);
    expect((await db.query({ text: 'SELECT pg_sleep(0.1), 1 AS one' })).rows).toMatchObject([{ one: 1 }]);
    await db.close();
  });

  test('a statement_timeout keeps its unit', async () => {
    const db = openTestPostgres(await caseDsn('dsn-statement-timeout-unit'));
    expect((await db.query({ text: 'SHOW statement_timeout' })).rows).toEqual([{ statement_timeout: '30s' }]);
    await db.close();
  });

  test('connects to the socket in the directory that the DSN names', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'facteur-cloudsql-'));
    const { hostname, port, username, password, pathname } = new URL(made.dsn);
    const sockets: Socket[] = [];
    const bridge = createServer((socket) => {
      const server = connect(Number(port), hostname);
      sockets.push(socket, server);
      socket
        .on('error', () => server.destroy())
        .pipe(server)
        .on('error', () => socket.destroy())
        .pipe(socket);
    }).listen(join(directory, '.s.PGSQL.5432'));
    const dsn = (await caseDsn('dsn-cloudsql-socket'))
      .replace('facteur:s3cret', `${username}:${password}`)
      .replace('/facteur_kb', pathname)
      .replace('/cloudsql/project:region:instance', directory);
    const db = openTestPostgres(dsn);
    expect(await pid(db)).toBeGreaterThan(0);
    await db.close();
    sockets.forEach((socket) => socket.destroy());
    bridge.close();
    await rm(directory, { recursive: true });
  });

  test('a read-only server is not read-write', async () => {
    await made.db.query({
      text: `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`,
    });
    const readWrite = openTestPostgres(`${made.dsn}&target_session_attrs=read-write`);
    await expect(pid(readWrite)).rejects.toMatchObject({ message: expect.stringContaining('is not read-write') });
    const readOnly = openTestPostgres(`${made.dsn}&target_session_attrs=read-only`);
    expect(await pid(readOnly)).toBeGreaterThan(0);
    await Promise.all([readWrite.close(), readOnly.close()]);
  });
});

describe('ping', () => {
  test('does not wait for a connection when all are busy', async () => {
    const db = openTestPostgres(made.dsn, { poolSize: 1 });
    const done = Promise.withResolvers<void>();
    const busy = db.transaction(() => done.promise);
    await expect(db.ping()).resolves.toBeUndefined();
    done.resolve();
    await busy;
    await db.close();
  });

  test('fails without a server, and works when it is back', async () => {
    const proxy = await proxyTo(made.dsn);
    const db = openTestPostgres(proxy.dsn);
    await expect(db.ping()).resolves.toBeUndefined();
    proxy.tcp.refuse();
    await expect(db.ping()).rejects.toMatchObject({ code: 'postgres.unavailable' });
    proxy.tcp.restore();
    await vi.waitFor(() => db.ping());
    await db.close();
    await proxy.tcp.close();
  });

  test('fails while the server is read-only, as on a standby', async () => {
    const alter = (setting: string) => ({
      text: `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I ${setting}', current_database()); END $$`,
    });
    await made.db.query(alter('SET default_transaction_read_only = on'));
    const db = openTestPostgres(made.dsn);
    await expect(db.ping()).rejects.toMatchObject({ code: 'postgres.unavailable', message: 'postgres is read-only' });
    await made.db.query(alter('RESET default_transaction_read_only'));
    await expect(db.ping()).resolves.toBeUndefined();
    await db.close();
  });
});
