import { expect, onTestFinished, test } from 'vitest';
import { SERVE_ROLES } from '../../src/service/roles.ts';
import { startCluster } from '../support/cluster.ts';
import { createTestDatabase, openTestPostgres } from '../support/database.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { expectRun } from '../support/ledger.ts';
import { startPgBouncer } from '../support/pgbouncer.ts';

// PgBouncer in session mode, with nothing configured but the database behind it.

async function throughPgBouncer(parameters = '') {
  const database = await createTestDatabase({ migrated: false });
  const bouncer = await startPgBouncer(database.dsn);
  const db = openTestPostgres(`${bouncer.dsn}${parameters}`, { poolSize: 5 });
  onTestFinished(async () => {
    await db.close();
    await bouncer.stop();
    await database.close();
  });
  return { db, direct: database.db };
}

test('migrates, records, submits, follows and notifies', async () => {
  const { db } = await throughPgBouncer();
  const cluster = await startCluster({ defaults: { outcome: 'succeed', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 } });
  const door = await openDiscordDoor({ db, cluster, roles: SERVE_ROLES });
  expect((await fetch(new URL('/readyz', door.facteur.url))).status).toBe(200);
  const { interactionId } = await door.discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
  await expectRun(db, interactionId, 'succeeded');
  await expect.poll(() => JSON.stringify(door.discord.messages())).toContain('Succeeded');
});

test('settings of the DSN apply to every connection, also after a session has changed them', async () => {
  const { db } = await throughPgBouncer('&statement_timeout=30s&search_path=codex_kb,public&lock_timeout=7s');
  const text = `SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
    current_setting('search_path') AS path, current_setting('idle_in_transaction_session_timeout') AS idle`;
  const expected = [{ statement: '30s', lock: '7s', path: 'codex_kb,public', idle: '30s' }];
  const both = await Promise.all([db.query({ text }), db.query({ text })]);
  expect(both.map(({ rows }) => rows)).toEqual([expected, expected]);
  await db.session(async (session) => session.query({ text: `SET lock_timeout = '1s'; SET search_path = public` }));
  const after = await Promise.all(Array.from({ length: 5 }, () => db.query({ text })));
  expect(after.map(({ rows }) => rows)).toEqual(after.map(() => expected));
});

test('receives notifications and holds advisory locks exclusively', async () => {
  const { db, direct } = await throughPgBouncer();
  const heard: string[] = [];
  await db.listen('news', (payload) => heard.push(payload));
  await direct.query({ text: `NOTIFY news, 'now'` });
  await expect.poll(() => heard).toEqual(['now']);
  const lock = { text: 'SELECT pg_try_advisory_lock(7) AS mine' };
  await db.session(async (session) => {
    expect((await session.query(lock)).rows).toEqual([{ mine: true }]);
    expect((await direct.session((other) => other.query(lock))).rows).toEqual([{ mine: false }]);
  });
  expect((await direct.session((other) => other.query(lock))).rows).toEqual([{ mine: true }]);
});
