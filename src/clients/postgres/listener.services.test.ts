import { expect, test, vi } from 'vitest';
import { openTestPostgres } from '../../../test/support/database.ts';
import { emptyDatabase } from '../../../test/support/empty-database.ts';
import { proxyTo } from '../../../test/support/tcp-proxy.ts';
import { openPostgres } from './open-postgres.ts';

const made = emptyDatabase();

/** Ends all connections of the database with this application name. */
async function killNamed(name: string): Promise<number> {
  const text =
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()';
  return (await made.db.query({ text, values: [name] })).rowCount;
}

test('reconnects after its connection died, says that notifications may be missing, and receives again', async () => {
  const db = openTestPostgres(`${made.dsn}&application_name=listening`);
  const heard: string[] = [];
  await db.listen('news', (payload) => heard.push(payload));
  await vi.waitFor(async () => expect(await killNamed('listening')).toBe(1));
  await vi.waitFor(() => expect(heard).toEqual(['']));
  await made.db.query({ text: `NOTIFY news, 'again'` });
  await vi.waitFor(() => expect(heard).toEqual(['', 'again']));
  await db.close();
});

test('detects a connection on which nothing arrives any more', async () => {
  const proxy = await proxyTo(made.dsn);
  const db = openPostgres({
    dsn: proxy.dsn,
    random: () => 0,
    onLost: () => undefined,
    heartbeatMs: 50,
    statementTimeoutMs: 50,
  });
  const heard: string[] = [];
  await db.listen('news', (payload) => heard.push(payload));
  proxy.tcp.mute();
  proxy.tcp.restore({ keepMuted: true });
  await vi.waitFor(() => expect(heard).toEqual(['']));
  await made.db.query({ text: `NOTIFY news, 'again'` });
  await vi.waitFor(() => expect(heard).toEqual(['', 'again']));
  await db.close();
  await proxy.tcp.close();
});

test('closes without an answer from a silent server', { timeout: 30_000 }, async () => {
  const proxy = await proxyTo(`${made.dsn}&statement_timeout=3600000`);
  const lost: Error[] = [];
  const db = openPostgres({ dsn: proxy.dsn, random: () => 0, onLost: (error) => lost.push(error) });
  const subscription = await db.listen('facteur_test_silent', () => undefined);
  proxy.tcp.mute();
  await subscription.close();
  await db.close();
  expect(lost).toEqual([]);
  await proxy.tcp.close();
});

test('closes while it connects to a silent server', { timeout: 30_000 }, async () => {
  const proxy = await proxyTo(`${made.dsn}&connect_timeout=3600`);
  const db = openPostgres({ dsn: proxy.dsn, random: () => 0, onLost: () => undefined });
  proxy.tcp.mute({ newToo: true });
  const listening = db.listen('facteur_test_silent', () => undefined);
  await db.close();
  proxy.tcp.refuse();
  await expect(listening).rejects.toMatchObject({ code: 'postgres.unavailable' });
  await proxy.tcp.close();
});

test('keeps retrying while the server is down', async () => {
  const proxy = await proxyTo(made.dsn);
  const lost: Error[] = [];
  const db = openPostgres({ dsn: proxy.dsn, random: () => 0, onLost: (error) => lost.push(error) });
  const heard: string[] = [];
  await db.listen('news', (payload) => heard.push(payload));
  proxy.tcp.refuse();
  await vi.waitFor(() => expect(lost.length).toBeGreaterThan(3));
  expect(heard).toEqual([]);
  proxy.tcp.restore();
  await vi.waitFor(() => expect(heard).toEqual(['']));
  await db.close();
  await proxy.tcp.close();
});

test('a connection that breaks during a subscription leaves no second one behind', async () => {
  const proxy = await proxyTo(`${made.dsn}&application_name=breaking`);
  const db = openPostgres({ dsn: proxy.dsn, random: () => 0, onLost: () => undefined });
  const heard: string[] = [];
  await db.listen('news', (payload) => heard.push(payload));
  proxy.tcp.cutOn('LISTEN "other"');
  await expect(db.listen('other', () => undefined)).rejects.toMatchObject({ code: 'postgres.unavailable' });
  // The rejected caller subscribes again before the automatic reconnect.
  await db.listen('other', () => undefined);
  await vi.waitFor(() => expect(heard).toEqual(['']));
  const { rows } = await made.db.query({
    text: `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'breaking'`,
  });
  expect(rows).toEqual([{ count: 1 }]);
  await db.close();
  await proxy.tcp.close();
});

test('a first subscription without a server fails, and a later one works', async () => {
  const proxy = await proxyTo(made.dsn);
  proxy.tcp.refuse();
  const db = openTestPostgres(proxy.dsn);
  await expect(db.listen('news', () => undefined)).rejects.toMatchObject({ code: 'postgres.unavailable' });
  proxy.tcp.restore();
  const heard: string[] = [];
  await db.listen('news', (payload) => heard.push(payload));
  await made.db.query({ text: `NOTIFY news, 'x'` });
  await vi.waitFor(() => expect(heard).toEqual(['x']));
  await db.close();
  await proxy.tcp.close();
});
