import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Database, Queryable } from '../../src/clients/postgres/database.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

/** The contract of every Database, for any engine. */
export function describeDatabase(engine: string): void {
  describe(`a database on ${engine}`, () => {
    let made: TestDatabase;
    let db: Database;

    beforeAll(async () => {
      made = await createTestDatabase({ migrated: false });
      db = made.db;
      await db.query({ text: 'CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL CHECK (length(text) < 10))' });
    });

    beforeEach(async () => {
      await db.query({ text: 'TRUNCATE notes' });
    });

    afterAll(async () => {
      await made.close();
    });

    const insert = (on: Queryable, id: number, text: unknown = 'x'): Promise<unknown> =>
      on.query({ name: 'insert', text: 'INSERT INTO notes VALUES ($1, $2)', values: [id, text] });
    const ids = async (): Promise<number[]> =>
      (await db.query<{ id: number }>({ text: 'SELECT id FROM notes ORDER BY id' })).rows.map(({ id }) => id);

    test('returns values with their types, with named and unnamed statements', async () => {
      const text = `SELECT $1::bigint AS big, $2::jsonb AS json, $3::timestamptz AS at, $4::bytea AS bytes, NULL AS nothing`;
      const values = ['9007199254740993', { a: [1] }, new Date('2026-01-02T03:04:05.678Z'), Buffer.from([0, 255])];
      const expected = { big: values[0], json: values[1], at: values[2], bytes: values[3], nothing: null };
      expect((await db.query({ text, values })).rows).toEqual([expected]);
      expect((await db.query({ name: 'values', text, values })).rows).toEqual([expected]);
      expect((await db.query({ name: 'values', text, values })).rows).toEqual([expected]);
    });

    test('counts the rows that a statement changed', async () => {
      await insert(db, 1);
      await insert(db, 2);
      expect(await db.query({ text: `UPDATE notes SET text = 'y'` })).toMatchObject({ rowCount: 2, rows: [] });
      expect(await db.query({ text: 'SELECT id FROM notes WHERE id = 9' })).toMatchObject({ rowCount: 0, rows: [] });
    });

    test('runs several statements in one text, and returns the result of the last', async () => {
      const { rows } = await db.query({
        text: `INSERT INTO notes VALUES (1, 'a'), (2, 'b'); SELECT count(*)::int FROM notes`,
      });
      expect(rows).toEqual([{ count: 2 }]);
    });

    test('an error names the constraint that a duplicate violates, and the next statement works', async () => {
      await insert(db, 1);
      await expect(insert(db, 1)).rejects.toMatchObject({
        code: 'postgres.conflict',
        retryable: false,
        sqlState: '23505',
        constraint: 'notes_pkey',
      });
      await insert(db, 2);
      expect(await ids()).toEqual([1, 2]);
    });

    test.each([
      ['text with a NUL character', '$1::text', 'secret\u0000value'],
      ['JSON with a NUL character', '$1::jsonb', String.raw`"secret\u0000value"`],
      ['an invalid UUID', '$1::uuid', 'secretvalue'],
      ['a too large number', '$1::smallint', '99999999'],
    ])('refuses %s without quoting it', async (what, expression, value) => {
      const statement = { name: `bad ${what}`, text: `SELECT ${expression}`, values: [value] };
      const error: unknown = await db.query(statement).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'postgres.invalid', retryable: false });
      expect(inspect(error, { depth: 5, showHidden: true })).not.toMatch(/secret|99999999/);
    });

    test('a missing object in the database is a retryable error, not an invalid value', async () => {
      await expect(db.query({ text: 'SELECT nonsense()' })).rejects.toMatchObject({
        code: 'postgres.broken',
        retryable: true,
        sqlState: '42883',
      });
    });

    test('a value that cannot be serialized is a bug, and the next statement works', async () => {
      const circle: Record<string, unknown> = {};
      circle['self'] = circle;
      await expect(db.query({ text: 'SELECT $1::jsonb', values: [circle] })).rejects.toMatchObject({
        code: 'postgres.failed',
      });
      expect((await db.query({ text: 'SELECT 1 AS one' })).rows).toEqual([{ one: 1 }]);
    });

    test('a text too long for its index is an invalid value', async () => {
      await db.query({ text: 'CREATE TABLE IF NOT EXISTS keys (key text PRIMARY KEY)' });
      const text = `INSERT INTO keys SELECT string_agg(md5(n::text), '') FROM generate_series(1, 1000) AS n`;
      await expect(db.query({ text })).rejects.toMatchObject({ code: 'postgres.invalid', sqlState: '54000' });
    });

    test('a transaction commits if its work resolves', async () => {
      const result = await db.transaction(async (tx) => {
        await insert(tx, 1);
        await insert(tx, 2);
        return 'done';
      });
      expect(result).toBe('done');
      expect(await ids()).toEqual([1, 2]);
    });

    test('a transaction rolls back if its work rejects, and the error is passed on unchanged', async () => {
      const reason = new Error('changed my mind');
      const attempt = db.transaction(async (tx) => {
        await insert(tx, 1);
        throw reason;
      });
      await expect(attempt).rejects.toBe(reason);
      expect(await ids()).toEqual([]);
    });

    test('a transaction that ignores a failed statement fails and rolls back', async () => {
      const attempt = db.transaction(async (tx) => {
        await insert(tx, 1);
        await insert(tx, 1).catch(() => undefined);
      });
      await expect(attempt).rejects.toMatchObject({ code: 'postgres.failed' });
      expect(await ids()).toEqual([]);
    });

    test('a transaction refuses statements after its end', async () => {
      let kept: Queryable | undefined;
      await db.transaction(async (tx) => {
        kept = tx;
      });
      await expect(insert(kept!, 1)).rejects.toMatchObject({ code: 'postgres.failed' });
      expect(await ids()).toEqual([]);
    });

    test('concurrent statements in one transaction run one after the other', async () => {
      await db.transaction(async (tx) => {
        await Promise.all([insert(tx, 1), insert(tx, 2), insert(tx, 3)]);
      });
      expect(await ids()).toEqual([1, 2, 3]);
    });

    test('runs many concurrent statements', async () => {
      await Promise.all(Array.from({ length: 100 }, (_, id) => insert(db, id)));
      expect(await ids()).toHaveLength(100);
    });

    test('a session has its own settings and locks, and leaves none behind', async () => {
      const settings = await db.session(async (session) => {
        await session.query({ text: `SET application_name = 'mine'; SELECT pg_advisory_lock(7)` });
        return session.query({
          text: `SELECT current_setting('application_name') AS app, current_setting('statement_timeout') AS timeout`,
        });
      });
      expect(settings.rows).toEqual([{ app: 'mine', timeout: '0' }]);
      const after = await db.query({
        text: `SELECT current_setting('application_name') AS app,
          (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS locks`,
      });
      expect(after.rows).toEqual([{ app: expect.not.stringContaining('mine'), locks: 0 }]);
    });

    test('a transaction left open by a session is rolled back', async () => {
      await db.session(async (session) => {
        await session.query({ text: 'BEGIN' });
        await insert(session, 1);
      });
      expect(await ids()).toEqual([]);
    });

    test('notifications arrive on their channel until the subscription is closed', async () => {
      const heard: string[] = [];
      const subscription = await db.listen('Mixed-Case', (payload) => heard.push(payload));
      const other = await db.listen('other', (payload) => heard.push(`other ${payload}`));
      await db.query({ text: `SELECT pg_notify($1, 'one')`, values: ['Mixed-Case'] });
      await vi.waitFor(() => expect(heard).toEqual(['one']));
      await subscription.close();
      await db.query({ text: `SELECT pg_notify($1, 'two')`, values: ['Mixed-Case'] });
      await db.query({ text: `NOTIFY other, 'end'` });
      await vi.waitFor(() => expect(heard).toEqual(['one', 'other end']));
      await other.close();
    });

    test('two handlers on one channel both get notifications, until each is closed', async () => {
      const heard: string[] = [];
      const first = await db.listen('shared', (payload) => heard.push(`first ${payload}`));
      const second = await db.listen('shared', (payload) => heard.push(`second ${payload}`));
      await db.query({ text: `NOTIFY shared, 'a'` });
      await vi.waitFor(() => expect(heard).toEqual(['first a', 'second a']));
      await first.close();
      await db.query({ text: `NOTIFY shared, 'b'` });
      await vi.waitFor(() => expect(heard).toEqual(['first a', 'second a', 'second b']));
      await second.close();
    });

    test('after close, every call is refused, and close is idempotent', async () => {
      const short = await createTestDatabase({ migrated: false });
      await short.close();
      await short.db.close();
      const closed = { code: 'postgres.unavailable', message: 'the database is closed' };
      await expect(short.db.query({ text: 'SELECT 1' })).rejects.toMatchObject(closed);
      await expect(short.db.listen('x', () => undefined)).rejects.toMatchObject(closed);
    });
  });
}
