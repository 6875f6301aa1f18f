import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { completeDsn, parsePostgresDsn, type PostgresDsn } from './postgres-dsn.ts';

function parse(dsn: string): PostgresDsn {
  const parsed = parsePostgresDsn(dsn);
  if (parsed === undefined) {
    throw new Error('no server');
  }
  return parsed;
}

/** The DSN of a case, with a server on port 5432. */
async function caseDsn(name: string): Promise<string> {
  const text = await readFile(new URL(`../../test/cases/${name}.dsn.txt`, import.meta.url), 'utf8');
  return text.trim().replace('PGPORT', '5432').replace('PGPASSWORD', 'pw');
}

test('parses a URL', () => {
  const { password, ...rest } = parse('postgres://kim:pa%3Ass@db.example:6432/kb?sslmode=require');
  expect(password?.reveal()).toBe('pa:ss');
  expect(rest).toEqual({
    hosts: [{ host: 'db.example', port: 6432 }],
    user: 'kim',
    database: 'kb',
    applicationName: 'facteur',
    target: 'any',
    tls: { mode: 'require', rootCert: undefined, cert: undefined, key: undefined, keyPassword: undefined },
    options: undefined,
    settings: {},
    statementTimeoutMs: undefined,
    connectTimeoutMs: undefined,
    poolSize: undefined,
  });
});

test.each(['pglite:memory', 'pglite:./data'])('%s is not a server', (dsn) => {
  expect(parsePostgresDsn(dsn)).toBeUndefined();
});

describe('hosts', () => {
  test.each([
    ['postgresql://h/d', [['h', 5432]]],
    ['postgres://', [['localhost', 5432]]],
    ['postgres:///d?host=/run/postgresql&port=5433', [['/run/postgresql', 5433]]],
    ['postgres://%2Frun%2Fpostgresql/d', [['/run/postgresql', 5432]]],
    ['postgres://u@[::1]:5433/d', [['::1', 5433]]],
    ['postgres://::1/d', [['::1', 5432]]],
    [
      'postgres://u:p@h1:1,h2:2/d',
      [
        ['h1', 1],
        ['h2', 2],
      ],
    ],
    [
      'postgres://h1:1,h2,[::1]:3/d',
      [
        ['h1', 1],
        ['h2', 5432],
        ['::1', 3],
      ],
    ],
    [
      'postgres://h1,h2:7/d',
      [
        ['h1', 7],
        ['h2', 7],
      ],
    ],
    [
      'postgres://h/d?host=a,b',
      [
        ['a', 5432],
        ['b', 5432],
      ],
    ],
    [
      'host=a,b port=7 dbname=d',
      [
        ['a', 7],
        ['b', 7],
      ],
    ],
    [
      'host=a,b port=7,8 dbname=d',
      [
        ['a', 7],
        ['b', 8],
      ],
    ],
    ['dbname=d', [['localhost', 5432]]],
  ] as [string, [string, number][]][])('%s', (dsn, hosts) => {
    expect(parse(dsn).hosts).toEqual(hosts.map(([host, port]) => ({ host, port })));
  });

  test('Cloud SQL’s socket', async () => {
    expect(parse(await caseDsn('dsn-cloudsql-socket'))).toMatchObject({
      hosts: [{ host: '/cloudsql/project:region:instance', port: 5432 }],
      user: 'facteur',
      database: 'facteur_kb',
    });
  });

  test('two, of which one must be writable', async () => {
    expect(parse(await caseDsn('dsn-two-hosts'))).toMatchObject({
      hosts: [
        { host: '127.0.0.1', port: 1 },
        { host: '127.0.0.1', port: 5432 },
      ],
      target: 'read-write',
    });
  });
});

describe('parameters', () => {
  test.each([
    ['postgres://h/d?connect_timeout=7', { connectTimeoutMs: 7000 }],
    ['postgres://h/d?connect_timeout=0', { connectTimeoutMs: undefined }],
    ['postgres://h/d?application_name=other', { applicationName: 'other' }],
    ['postgres://h/d?pool_max_conns=4', { poolSize: 4 }],
    ['postgres://h/d?user=u&dbname=e', { user: 'u', database: 'e' }],
    ['postgres://h/d?database=e', { database: 'e', settings: {} }],
    ['host=h dbname=d database=e', { database: 'e', settings: {} }],
    ['postgres://h/d?search_path=a,b&work_mem=4 MB', { settings: { search_path: 'a,b', work_mem: '4 MB' } }],
    ['postgres://h/d?options=-c%20jit%3Doff&search_path=a', { options: '-c jit=off', settings: { search_path: 'a' } }],
    ['postgres://h/d?work_mem=1&work_mem=2', { settings: { work_mem: '1' } }],
    ['host=h app.tenant=blue', { settings: { 'app.tenant': 'blue' } }],
    ['postgres://h/d?target_session_attrs=prefer-standby', { target: 'prefer-standby' }],
    ['postgres://h/d', { target: 'any' }],
    ['postgres://h,i/d', { target: 'read-write' }],
    ['postgres://h,i/d?target_session_attrs=any', { target: 'any' }],
  ])('%s', (dsn, expected) => {
    expect(parse(dsn)).toMatchObject(expected);
  });

  test.each([
    ['250', 250],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5 s', 1500],
    ['2min', 120_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
  ])('a statement_timeout of %s is %i ms, and goes to the server as it is', (text, ms) => {
    expect(parse(`host=h statement_timeout='${text}'`)).toMatchObject({
      statementTimeoutMs: ms,
      settings: { statement_timeout: text },
    });
  });

  test('a statement_timeout of 0 counts as missing', () => {
    expect(parse('postgres://h/d?statement_timeout=0')).toMatchObject({ statementTimeoutMs: undefined, settings: {} });
  });

  test('of other drivers are ignored', () => {
    const dsn =
      'postgres://h/d?pool_min_conns=4&default_query_exec_mode=exec&channel_binding=require&keepalives_idle=3';
    expect(parse(dsn).settings).toEqual({});
  });

  test('sslmode works as in libpq, and is prefer by default', () => {
    expect(parse('postgres://h/d').tls.mode).toBe('prefer');
    expect(parse('postgres://h/d?sslmode=allow').tls.mode).toBe('prefer');
    expect(parse('postgres://h/d?sslmode=require&sslrootcert=system').tls.mode).toBe('verify-full');
    const whole = 'postgres://h/d?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem';
    expect(parse(whole).tls).toMatchObject({
      mode: 'verify-full',
      rootCert: '/ca.pem',
      cert: '/c.pem',
      key: '/k.pem',
    });
  });
});

test.each([
  ['host=h port=6432 user=kim dbname=kb', { hosts: [{ host: 'h', port: 6432 }], user: 'kim', database: 'kb' }],
  [`  user = 'k i\\'m'   password='' host=h\n`, { user: `k i'm`, password: undefined }],
  [String.raw`host=h user=a\ b\\c`, { user: String.raw`a b\c` }],
  [`host=h user=it's`, { user: `it's` }],
  ["host=h user='' dbname=d", { user: undefined, database: 'd' }],
])('a list of keywords: %s', (dsn, expected) => {
  expect(parse(dsn)).toMatchObject(expected);
});

test.each([
  ['', 'must be a postgres:// URL'],
  ['mysql://u:hunter2@h/d', 'must be a postgres:// URL'],
  ['mysql://u:hunter2@h/d?a=b', 'must be a postgres:// URL'],
  ['pglite:', 'must be a postgres:// URL'],
  [`host=h password='hunter2`, 'must be a postgres:// URL'],
  ['postgres://u:hunter2#@h/d', 'an unescaped #'],
  ['postgres://u:hunter2@h1:1,h2:x/d', 'invalid port'],
  ['postgres://u:hunter2@h:0/d', 'invalid port'],
  ['postgres://u:hunter2@h:65536/d', 'invalid port'],
  ['host=a,b,c port=1,2 password=hunter2', '2 ports for 3 hosts'],
  ['postgres://u:hunter2%@h/d', 'a password with an unescaped %'],
  ['postgres://u:hunter2@h/d?sslmode=yes', 'an unknown sslmode'],
  ['postgres://u:hunter2@h/d?sslcert=/c.pem', 'both sslcert and sslkey'],
  ['postgres://u:hunter2@h/d?target_session_attrs=Primary', 'an unknown target_session_attrs'],
  ['postgres://u:hunter2@h/d?connect_timeout=soon', 'an invalid connect_timeout'],
  ['postgres://u:hunter2@h/d?statement_timeout=soon', 'an invalid statement_timeout'],
  ['postgres://u:hunter2@h/d?statement_timeout=3 weeks', 'an invalid statement_timeout'],
  ['service=prod password=hunter2', 'service files are not supported'],
])('rejects %s without quoting it', (dsn, why) => {
  const attempt = (): unknown => parsePostgresDsn(dsn);
  expect(attempt).toThrow(why);
  expect(attempt).not.toThrow('hunter2');
});

test('keeps any password unchanged, in a URL and in a list', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'binary' }), (password) => {
      const list = parse(`host=h password='${password.replaceAll(/['\\]/g, String.raw`\$&`)}' user=u`);
      expect([list.password?.reveal(), list.user]).toEqual([password, 'u']);
      fc.pre(password.isWellFormed());
      expect(parse(`postgres://u:${encodeURIComponent(password)}@h/d`).password?.reveal()).toBe(password);
    }),
  );
});

describe('the variables of libpq', () => {
  const env = {
    PGHOST: 'db.example',
    PGPORT: '6543',
    PGDATABASE: 'kb',
    PGUSER: 'kim',
    PGPASSWORD: "it's \\ & secret",
    PGSSLMODE: 'require',
    PGSSLCERT: '',
    PGAPPNAME: 'me',
  };

  test.each([
    'postgres://',
    'postgresql://?',
    'postgres:///?connect_timeout=3',
    'connect_timeout=3',
    "host='' port=''",
  ])('fill in what %s leaves open', (dsn) => {
    const completed = parsePostgresDsn(completeDsn(dsn, env));
    expect(completed).toMatchObject({
      hosts: [{ host: 'db.example', port: 6543 }],
      user: 'kim',
      database: 'kb',
      applicationName: 'me',
      tls: { mode: 'require' },
    });
    expect(completed?.password?.reveal()).toBe("it's \\ & secret");
  });

  test.each([
    'postgres://a:b@h:1/d?sslmode=disable&application_name=x',
    'host=h port=1 user=a password=b database=d sslmode=disable application_name=x',
    'pglite:memory',
  ])('change nothing that %s says', (dsn) => {
    expect(completeDsn(dsn, env)).toBe(dsn);
  });

  test.each(['postgres://h/d?sslmode=', "host=h sslmode=''"])('replace the empty value in %s', (dsn) => {
    expect(parsePostgresDsn(completeDsn(dsn, { PGSSLMODE: 'verify-full' }))?.tls.mode).toBe('verify-full');
  });

  test.each(['postgres://h/d?TimeZone=UTC', 'host=h TimeZone=UTC'])('do not change the time zone of %s', (dsn) => {
    expect(completeDsn(dsn, { PGTZ: 'Europe/Paris' })).toBe(dsn);
  });

  test('give several hosts the same port', () => {
    expect(parsePostgresDsn(completeDsn('postgres://h1,h2/d', env))?.hosts).toEqual([
      { host: 'h1', port: 6543 },
      { host: 'h2', port: 6543 },
    ]);
  });

  test('are checked', () => {
    expect(() => completeDsn('postgres://h/d', { PGSSLMODE: 'hunter2' })).toThrow('an unknown sslmode');
  });
});
