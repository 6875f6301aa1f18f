import { describe, expect, onTestFinished, test } from 'vitest';
import { openTestPostgres } from '../../../test/support/database.ts';
import { startFakePostgres, type FakePostgres } from '../../../test/support/fake-postgres.ts';
import type { Database } from './database.ts';
import { candidatesOf } from './servers.ts';

function open(servers: readonly Pick<FakePostgres, 'port'>[], parameters = ''): Database {
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join(',');
  const db = openTestPostgres(`postgres://u@${hosts}/d?sslmode=disable&${parameters}`);
  onTestFinished(() => db.close());
  return db;
}

/** Which server answers now. */
async function who(db: Database): Promise<string | undefined> {
  return (await db.query<{ name: string }>({ text: 'SELECT name' })).rows[0]?.name;
}

/** A port without a listener. */
const NOBODY = { port: 1 };

describe('several servers', () => {
  test.each([
    ['any', 'standby'],
    ['read-write', 'primary'],
    ['read-only', 'standby'],
    ['primary', 'frozen'],
    ['standby', 'standby'],
    ['prefer-standby', 'standby'],
  ])('are tried until one is %s: %s', async (target, expected) => {
    const standby = await startFakePostgres('standby', { standby: true, readonly: true });
    const frozen = await startFakePostgres('frozen', { readonly: true });
    const primary = await startFakePostgres('primary');
    expect(await who(open([NOBODY, standby, frozen, primary], `target_session_attrs=${target}`))).toBe(expected);
  });

  test('are tried until one accepts writes, by default', async () => {
    const standby = await startFakePostgres('standby', { standby: true, readonly: true });
    const primary = await startFakePostgres('primary');
    expect(await who(open([standby, primary]))).toBe('primary');
  });

  test('with prefer-standby and no standby, the first that answers is used', async () => {
    const [one, two] = [await startFakePostgres('one'), await startFakePostgres('two')];
    expect(await who(open([NOBODY, one, two], 'target_session_attrs=prefer-standby'))).toBe('one');
  });

  test('if none is suitable, the error has the reason for each', async () => {
    const standby = await startFakePostgres('standby', { standby: true, readonly: true });
    const db = open([NOBODY, standby], 'target_session_attrs=read-write');
    await expect(who(db)).rejects.toMatchObject({
      code: 'postgres.unavailable',
      retryable: true,
      message: expect.stringMatching(
        new RegExp(String.raw`ECONNREFUSED 127\.0\.0\.1:1; 127\.0\.0\.1:${standby.port} is not read-write$`),
      ),
    });
  });

  test.each(['28P01', '3D000', '42501'])('the search ends at a refusal that all would give: %s', async (refuses) => {
    const [no, yes] = [await startFakePostgres('no', { refuses }), await startFakePostgres('yes')];
    await expect(who(open([no, yes]))).rejects.toMatchObject({ code: 'postgres.unavailable', sqlState: refuses });
  });

  test('the search continues after any other refusal', async () => {
    const [full, yes] = [await startFakePostgres('full', { refuses: '53300' }), await startFakePostgres('yes')];
    expect(await who(open([full, yes]))).toBe('yes');
  });

  test('one that fails is replaced by the next, which is kept', async () => {
    const [one, two] = [await startFakePostgres('one'), await startFakePostgres('two')];
    const db = open([one, two]);
    expect(await who(db)).toBe('one');
    one.stop();
    await expect.poll(() => who(db).catch(() => undefined)).toBe('two');
    expect(await who(db)).toBe('two');
  });

  test('one that is no longer suitable is replaced, although it answers', async () => {
    const [one, two] = [await startFakePostgres('one'), await startFakePostgres('two')];
    const db = open([one, two], 'target_session_attrs=read-write');
    const gate = Promise.withResolvers<void>();
    const holding = db.transaction(() => gate.promise).catch(() => undefined);
    await expect.poll(() => one.statements.length).toBeGreaterThan(1);
    one.kind.readonly = true;
    expect(await who(db)).toBe('two');
    gate.resolve();
    await holding;
  });

  test('LISTEN goes to the same server as statements', async () => {
    const [one, two] = [await startFakePostgres('one', { readonly: true }), await startFakePostgres('two')];
    const db = open([one, two], 'target_session_attrs=read-write');
    await db.listen('news', () => undefined);
    expect(one.statements.some((statement) => statement.startsWith('LISTEN'))).toBe(false);
    expect(two.statements.at(-1)).toBe('LISTEN "news"');
  });
});

test('the order of attempts', () => {
  const hosts = [
    { host: 'a', port: 1 },
    { host: 'b', port: 2 },
  ];
  expect(candidatesOf({ hosts, target: 'primary' }).map(({ host, wants }) => [host, wants])).toEqual([
    ['a', 'primary'],
    ['b', 'primary'],
  ]);
  expect(candidatesOf({ hosts, target: 'prefer-standby' }).map(({ host, wants }) => [host, wants])).toEqual([
    ['a', 'standby'],
    ['b', 'standby'],
    ['a', 'any'],
    ['b', 'any'],
  ]);
});
