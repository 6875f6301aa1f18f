import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDsn } from './dsn.ts';

describe('a URL', () => {
  test('is taken apart', () => {
    expect(parseDsn('postgres://kim:pa%3Ass@db.example:6432/kb?sslmode=require')).toEqual({
      client: {
        host: 'db.example',
        port: 6432,
        user: 'kim',
        password: 'pa:ss',
        database: 'kb',
        application_name: 'facteur',
      },
      tls: { mode: 'require', rootCert: undefined, cert: undefined, key: undefined, keyPassword: undefined },
    });
  });

  test.each([
    ['postgresql://h/d', { host: 'h', port: 5432, database: 'd' }],
    ['postgres://u@[::1]:5433/d', { host: '::1', port: 5433, user: 'u' }],
    ['postgres:///d?host=/run/postgresql&user=u', { host: '/run/postgresql', user: 'u', database: 'd' }],
    ['postgres://h/d?connect_timeout=7', { connectionTimeoutMillis: 7000 }],
    ['postgres://h/d?application_name=other', { application_name: 'other' }],
    ['postgres://h/d?statement_timeout=250', { statement_timeout: 250 }],
    ['postgres://h/d?search_path=a,b&work_mem=4 MB', { options: '-c search_path=a,b -c work_mem=4\\ MB' }],
    ['postgres://h/d?options=-c%20jit%3Doff&search_path=a', { options: '-c jit=off -c search_path=a' }],
  ])('%s', (dsn, client) => {
    expect(parseDsn(dsn).client).toMatchObject(client);
  });

  test('has Go’s word for the size of the pool', () => {
    expect(parseDsn('postgres://h/d?pool_max_conns=4').poolSize).toBe(4);
    expect(parseDsn('postgres://h/d').poolSize).toBeUndefined();
  });

  test('parameters of other drivers are left alone', () => {
    const { client } = parseDsn(
      'postgres://h/d?pool_min_conns=4&default_query_exec_mode=exec&target_session_attrs=any',
    );
    expect(client).not.toHaveProperty('options');
  });

  test('has libpq’s sslmode, which without a word is prefer', () => {
    expect(parseDsn('postgres://h/d').tls.mode).toBe('prefer');
    expect(parseDsn('postgres://h/d?sslmode=allow').tls.mode).toBe('prefer');
    expect(
      parseDsn('postgres://h/d?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem').tls,
    ).toMatchObject({
      mode: 'verify-full',
      rootCert: '/ca.pem',
      cert: '/c.pem',
      key: '/k.pem',
    });
  });
});

test.each([
  ['host=h port=6432 user=kim dbname=kb sslmode=disable', { host: 'h', port: 6432, user: 'kim', database: 'kb' }],
  [`  user = 'k i\\'m'   password='' host=h `, { user: `k i'm`, host: 'h' }],
  [String.raw`host=h password=a\ b\\c`, { password: String.raw`a b\c` }],
])('a list of keywords: %s', (dsn, client) => {
  expect(parseDsn(dsn).client).toMatchObject(client);
});

test.each([
  ['', 'is neither a postgres:// URL nor a list'],
  ['mysql://u:hunter2@h/d', 'is neither a postgres:// URL nor a list'],
  ['postgres://u:hunter2@h1:1,h2:2/d', 'is not a URL'],
  ['postgres://u:hunter2%@h/d', 'has a password with a stray %'],
  ['postgres://u:hunter2@h/d?sslmode=yes', 'has an unknown sslmode'],
  ['postgres://u:hunter2@h/d?connect_timeout=soon', 'has a connect_timeout that is not a number'],
  [`host=h password='hunter2`, 'is neither a postgres:// URL nor a list'],
])('refuses %s without quoting it', (dsn, why) => {
  const attempt = (): unknown => parseDsn(dsn);
  expect(attempt).toThrow(why);
  expect(attempt).not.toThrow('hunter2');
});

test('every password survives, in a URL and in a list', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'binary' }), (password) => {
      const list = `host=h password='${password.replaceAll(/['\\]/g, String.raw`\$&`)}' user=u`;
      expect(parseDsn(list).client).toMatchObject({ password, user: 'u' });
      fc.pre(password.isWellFormed());
      expect(parseDsn(`postgres://u:${encodeURIComponent(password)}@h/d`).client.password).toBe(password);
    }),
  );
});
