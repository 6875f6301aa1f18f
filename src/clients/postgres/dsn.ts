import type { ClientConfig } from 'pg';
import { DatabaseError } from './database.ts';

/** libpq's meaning: how much TLS is wanted, and what is checked. `allow` is treated as `prefer`. */
export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** What a DSN asks of TLS; the paths name PEM files. */
export interface TlsWish {
  readonly mode: SslMode;
  readonly rootCert: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly keyPassword: string | undefined;
}

/** A DSN taken apart: what `pg` needs besides TLS, and the TLS. */
export interface Dsn {
  readonly client: ClientConfig;
  readonly tls: TlsWish;
  /** Go's `pool_max_conns`. */
  readonly poolSize: number | undefined;
}

const MODES = new Map<string, SslMode>([
  ['disable', 'disable'],
  ['allow', 'prefer'],
  ['prefer', 'prefer'],
  ['require', 'require'],
  ['verify-ca', 'verify-ca'],
  ['verify-full', 'verify-full'],
]);

/** Parameters of Go's pgx and of libpq that mean nothing here: a DSN that worked before must not fail for them. */
const IGNORED =
  /^(pool_.*|default_query_exec_mode|.*_cache_(capacity|mode)|prefer_simple_protocol|target_session_attrs|sslsni|sslnegotiation|channel_binding|gssencmode|krb.*|passfile|service|servicefile|fallback_application_name|client_encoding|keepalives.*|tcp_user_timeout)$/;

/**
 * Reads `postgres://user:password@host:5432/database?sslmode=…` and `host=… user=…` DSNs as Go's pgx reads them:
 * without `sslmode` it is `prefer`, and unknown parameters (`search_path`) are settings of the session.
 *
 * @throws DatabaseError `postgres.failed`, whose message never quotes the DSN
 */
export function parseDsn(dsn: string): Dsn {
  const parameters = /^postgres(ql)?:\/\//.test(dsn) ? fromUrl(dsn) : fromKeywords(dsn);
  const take = (name: string): string | undefined => {
    const value = parameters.get(name);
    parameters.delete(name);
    return value === '' ? undefined : value;
  };
  const tls: TlsWish = {
    mode: sslMode(take('sslmode')),
    rootCert: take('sslrootcert'),
    cert: take('sslcert'),
    key: take('sslkey'),
    keyPassword: take('sslpassword'),
  };
  const client: ClientConfig = {
    host: take('host') ?? 'localhost',
    port: number('port', take('port')) ?? 5432,
    application_name: take('application_name') ?? 'facteur',
  };
  assign(client, 'user', take('user'));
  assign(client, 'password', take('password'));
  assign(client, 'database', take('dbname') ?? take('database'));
  const seconds = number('connect_timeout', take('connect_timeout'));
  assign(client, 'connectionTimeoutMillis', seconds === undefined ? undefined : seconds * 1000);
  const timeout = number('statement_timeout', take('statement_timeout'));
  assign(client, 'statement_timeout', timeout);
  const poolSize = number('pool_max_conns', take('pool_max_conns'));
  assign(client, 'options', sessionOptions(take('options'), parameters));
  return { client, tls, poolSize };
}

function assign<K extends keyof ClientConfig>(client: ClientConfig, key: K, value: ClientConfig[K]): void {
  if (value !== undefined) {
    client[key] = value;
  }
}

function fromUrl(dsn: string): Map<string, string> {
  // `postgres:///database?host=/run/postgresql` has no host, which URL.parse allows; several hosts it does not.
  const url = URL.parse(dsn);
  if (url === null) {
    throw invalid('is not a URL like postgres://user:password@host:5432/database');
  }
  const decode = (text: string, part: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      throw invalid(`has a ${part} with a stray % (write it as %25)`);
    }
  };
  const parts = new Map([
    ['host', decode(url.hostname.replace(/^\[(.*)\]$/, '$1'), 'host')],
    ['port', url.port],
    ['user', decode(url.username, 'user')],
    ['password', decode(url.password, 'password')],
    ['dbname', decode(url.pathname.slice(1), 'database')],
  ]);
  for (const [name, value] of url.searchParams) {
    parts.set(name, value);
  }
  return parts;
}

/** `host=localhost password='it''s \' secret'`: quotes are optional, a backslash takes the next character as it is. */
function fromKeywords(dsn: string): Map<string, string> {
  const parts = new Map<string, string>();
  const pair = /\s*([a-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?:\s+|$)/gy;
  let end = 0;
  for (const match of dsn.matchAll(pair)) {
    parts.set(match[1] ?? '', (match[2] ?? match[3] ?? '').replaceAll(/\\(.)/g, '$1'));
    end = match.index + match[0].length;
  }
  if (end !== dsn.length || parts.size === 0) {
    throw invalid('is neither a postgres:// URL nor a list like host=… user=…');
  }
  return parts;
}

function sslMode(text = 'prefer'): SslMode {
  const mode = MODES.get(text);
  if (mode === undefined) {
    throw invalid(`has an unknown sslmode; known are ${[...MODES.keys()].join(', ')}`);
  }
  return mode;
}

function number(name: string, text: string | undefined): number | undefined {
  if (text !== undefined && !/^\d{1,9}$/.test(text)) {
    throw invalid(`has a ${name} that is not a number`);
  }
  return text === undefined ? undefined : Number(text);
}

/** What is left over becomes `-c name=value`, where spaces and backslashes must be escaped. */
function sessionOptions(options: string | undefined, rest: Map<string, string>): string | undefined {
  const settings = [...rest].filter(([name, value]) => value !== '' && !IGNORED.test(name));
  const flags = settings.map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, '\\$&')}`);
  const all = [...(options === undefined ? [] : [options]), ...flags];
  return all.length === 0 ? undefined : all.join(' ');
}

function invalid(why: string): DatabaseError {
  return new DatabaseError('postgres.failed', `the postgres DSN ${why}`, { retryable: false });
}
