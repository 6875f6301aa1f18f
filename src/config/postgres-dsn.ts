import { isIPv6 } from 'node:net';
import { FacteurError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';

/** The TLS modes of libpq. `allow` is treated as `prefer`. */
type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** TLS settings of a DSN; the paths name PEM files. */
export interface TlsWish {
  readonly mode: SslMode;
  readonly rootCert: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly keyPassword: Secret | undefined;
}

/** Which of several servers are acceptable. */
export type TargetSession = (typeof TARGETS)[number];

/** A parsed DSN. */
export interface PostgresDsn {
  /** In the order in which they are tried; a host that begins with `/` is a socket's directory. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  readonly database: string | undefined;
  readonly applicationName: string;
  readonly target: TargetSession;
  readonly tls: TlsWish;
  /** libpq's `options`, sent as they are when a connection begins. */
  readonly options: string | undefined;
  /** Settings of the session, with their units; the server validates them. */
  readonly settings: Readonly<Record<string, string>>;
  /** `statement_timeout` in milliseconds; undefined when the DSN has none, or 0. */
  readonly statementTimeoutMs: number | undefined;
  readonly connectTimeoutMs: number | undefined;
  /** Go's `pool_max_conns`. */
  readonly poolSize: number | undefined;
}

const DEFAULT_PORT = 5432;
const TARGETS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;

const MODES = new Map<string, SslMode>([
  ['disable', 'disable'],
  ['allow', 'prefer'],
  ['prefer', 'prefer'],
  ['require', 'require'],
  ['verify-ca', 'verify-ca'],
  ['verify-full', 'verify-full'],
]);

/** Parameters of pgx and libpq without effect here: a DSN that worked before must not fail because of them. */
const IGNORED =
  /^(?:pool_.+|default_query_exec_mode|(?:statement|description)_cache_(?:capacity|mode)|prefer_simple_protocol|sslsni|sslnegotiation|channel_binding|require_auth|gss.+|krb.+|passfile|fallback_application_name|client_encoding|keepalives|keepalives_.+|tcp_user_timeout|m(?:in|ax)_protocol_version)$/;

/**
 * Reads a DSN as the Go service's driver, pgx, reads it: a `postgres://` URL or a list such as `host=… user=…`, with several
 * hosts, sockets, and settings of the session among the parameters. Undefined for `pglite:…`, the embedded engine.
 *
 * Does not use `pg-connection-string`, which takes one host, reads files while it parses, and prints warnings.
 *
 * @throws FacteurError `config.postgres_dsn`, which continues a sentence that begins with the key and never quotes the DSN
 */
export function parsePostgresDsn(dsn: string): PostgresDsn | undefined {
  if (/^pglite:./.test(dsn)) {
    return undefined;
  }
  const parameters = new Parameters(URL_FORM.test(dsn) ? fromUrl(dsn) : fromKeywords(dsn));
  const [host = '', port = ''] = [parameters.take('host'), parameters.take('port')];
  const seconds = parameters.takeNumber('connect_timeout');
  const hosts = hostsOf(host, port);
  return {
    hosts,
    user: parameters.take('user'),
    password: parameters.takeSecret('password'),
    database: databaseOf(parameters),
    applicationName: parameters.take('application_name') ?? 'facteur',
    target: targetOf(parameters.take('target_session_attrs') ?? (hosts.length > 1 ? 'read-write' : 'any')),
    tls: tlsOf(parameters),
    options: parameters.take('options'),
    connectTimeoutMs: seconds === undefined ? undefined : seconds * 1000,
    poolSize: parameters.takeNumber('pool_max_conns'),
    ...settingsOf(parameters),
  };
}

/** Variables that pgx and libpq use for what the DSN leaves out. (The client library handles PGPASSFILE.) */
const VARIABLES: Readonly<Record<string, string>> = {
  PGHOST: 'host',
  PGPORT: 'port',
  PGDATABASE: 'dbname',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGAPPNAME: 'application_name',
  PGCONNECT_TIMEOUT: 'connect_timeout',
  PGSSLMODE: 'sslmode',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGSSLPASSWORD: 'sslpassword',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
  PGTZ: 'timezone',
  PGOPTIONS: 'options',
};

/**
 * Completes the DSN with the `PG…` variables, as the Go service's driver does.
 *
 * @throws FacteurError `config.postgres_dsn`, if the result cannot be parsed
 */
export function completeDsn(dsn: string, env: Readonly<Record<string, string | undefined>>): string {
  if (/^pglite:./.test(dsn)) {
    return dsn;
  }
  const url = URL_FORM.test(dsn);
  const given = url ? fromUrl(dsn) : fromKeywords(dsn);
  // Setting names are case-insensitive.
  const said = new Map([...given].map(([name, value]) => [name.toLowerCase(), value]));
  const isOpen = (name: string): boolean =>
    // Several hosts without ports have a port of only commas.
    [name, name === 'dbname' ? 'database' : name].every((one) => /^,*$/.test(said.get(one) ?? ''));
  const added = Object.entries(VARIABLES).flatMap(([variable, name]): [string, string][] => {
    const value = env[variable] ?? '';
    return value !== '' && isOpen(name) ? [[name, value]] : [];
  });
  const completed = url
    ? // In front, because the first one counts, even if it is empty.
      dsn.replace(/\?|$/, () => `?${new URLSearchParams(added).toString()}&`)
    : [dsn, ...added.map(([name, value]) => `${name}='${value.replaceAll(/[\\']/g, '\\$&')}'`)].join(' ');
  parsePostgresDsn(completed);
  return added.length === 0 ? dsn : completed;
}

const URL_FORM = /^postgres(?:ql)?:\/\//;

/** The parameters of the DSN by name; each is consumed once, and the rest are session settings. */
class Parameters {
  readonly #values: Map<string, string>;

  constructor(values: Map<string, string>) {
    this.#values = values;
  }

  /** An empty value counts as missing. */
  take(name: string): string | undefined {
    const value = this.#values.get(name);
    this.#values.delete(name);
    return value === '' ? undefined : value;
  }

  takeSecret(name: string): Secret | undefined {
    const text = this.take(name);
    return text === undefined ? undefined : new Secret(text);
  }

  /** 0 counts as missing. */
  takeNumber(name: string): number | undefined {
    const text = this.take(name) ?? '0';
    if (!/^\d{1,6}$/.test(text)) {
      throw invalid(`has an invalid ${name}: it must be a number`);
    }
    return Number(text) === 0 ? undefined : Number(text);
  }

  rest(): [string, string][] {
    return [...this.#values].filter(([name, value]) => value !== '' && !IGNORED.test(name));
  }
}

/** `database`, pgx's other name, takes precedence over `dbname`, which may be the path of a URL. */
function databaseOf(parameters: Parameters): string | undefined {
  const [database, dbname] = [parameters.take('database'), parameters.take('dbname')];
  return database ?? dbname;
}

function hostsOf(hostList: string, portList: string): PostgresDsn['hosts'] {
  const hosts = hostList.split(',');
  const ports = portList.split(',');
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw invalid(`has ${ports.length} ports for ${hosts.length} hosts`);
  }
  const named = ports.filter((port) => port !== '');
  return hosts.map((host, index) => ({
    host: host === '' ? 'localhost' : host,
    // A single port applies to every host, wherever it is written.
    port: portOf(named.length === 1 ? named[0] : ports[index]),
  }));
}

function portOf(text = ''): number {
  const port = text === '' ? DEFAULT_PORT : Number(text);
  if (!/^\d{0,5}$/.test(text) || port < 1 || port > 65_535) {
    throw invalid('has an invalid port');
  }
  return port;
}

function targetOf(text: string): TargetSession {
  const target = TARGETS.find((known) => known === text);
  if (target === undefined) {
    throw invalid(`has an unknown target_session_attrs; expected ${TARGETS.join(', ')}`);
  }
  return target;
}

/** As in pgx, modes must be in lower case, and `system` (the machine's own authorities) requires a check of the host name. */
function tlsOf(parameters: Parameters): TlsWish {
  const mode = MODES.get(parameters.take('sslmode') ?? 'prefer');
  if (mode === undefined) {
    throw invalid(`has an unknown sslmode; expected ${[...MODES.keys()].join(', ')}`);
  }
  const rootCert = parameters.take('sslrootcert');
  const [cert, key] = [parameters.take('sslcert'), parameters.take('sslkey')];
  if ((cert === undefined) !== (key === undefined)) {
    throw invalid('needs both sslcert and sslkey, or neither');
  }
  return {
    mode: rootCert === 'system' && mode !== 'disable' ? 'verify-full' : mode,
    rootCert,
    cert,
    key,
    keyPassword: parameters.takeSecret('sslpassword'),
  };
}

function settingsOf(parameters: Parameters): Pick<PostgresDsn, 'settings' | 'statementTimeoutMs'> {
  const settings = parameters.rest();
  if (settings.some(([name]) => name === 'service' || name === 'servicefile')) {
    throw invalid('has a service, but service files are not supported');
  }
  const given = settings.find(([name]) => name === 'statement_timeout');
  const statementTimeoutMs = given === undefined ? 0 : milliseconds(given[1]);
  return {
    // Without a limit a statement could block its run forever, so 0 counts as missing.
    settings: Object.fromEntries(settings.filter((pair) => pair !== given || statementTimeoutMs > 0)),
    statementTimeoutMs: statementTimeoutMs > 0 ? statementTimeoutMs : undefined,
  };
}

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** Parses a time as Postgres does: milliseconds, unless it has another unit. */
function milliseconds(text: string): number {
  const [, number = '', unit = 'ms'] = /^([\d.]{1,15}) ?(us|ms|s|min|h|d)?$/.exec(text.trim()) ?? [];
  const value = Number(number) * (UNITS[unit] ?? 1);
  if (number === '' || !Number.isFinite(value)) {
    throw invalid('has an invalid statement_timeout; expected a time such as 10000 or 10s');
  }
  return Math.round(value);
}

/** `postgres://user:password@host:port,host:port/database?parameter=value`, every part of it optional. */
function fromUrl(dsn: string): Map<string, string> {
  const rest = dsn.slice(dsn.indexOf('://') + 3);
  const match = /^([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(rest);
  if (match === null) {
    throw invalid('has an unescaped # (write it as %23)');
  }
  const [, authority = '', path = '', query = ''] = match;
  const at = authority.lastIndexOf('@');
  const login = at === -1 ? '' : authority.slice(0, at);
  const colon = login.indexOf(':');
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map(hostAndPort);
  const parts = new Map([
    ['host', hosts.map(([host]) => host).join(',')],
    ['port', hosts.map(([, port]) => port).join(',')],
    ['user', decode(colon === -1 ? login : login.slice(0, colon), 'user')],
    ['password', colon === -1 ? '' : decode(login.slice(colon + 1), 'password')],
    ['dbname', decode(path.replace(/^\/+/, ''), 'database')],
  ]);
  const parameters = new URLSearchParams(query);
  for (const name of new Set(parameters.keys())) {
    // If a parameter is given twice, the first one counts, as in Go.
    parts.set(name, parameters.get(name) ?? '');
  }
  return parts;
}

/** `host`, `host:5432`, `[::1]:5432` or `::1`. */
function hostAndPort(text: string): [string, string] {
  // The pattern goes first, because the first call of `isIPv6` takes 10 ms.
  if (/:.*:/.test(text) && isIPv6(text)) {
    return [text, ''];
  }
  const [, address, name = '', port = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(text) ?? [];
  return [decode(address ?? name, 'host'), port];
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid(`has a ${part} with an unescaped % (write it as %25)`);
  }
}

/** `host=localhost password='it''s \' secret'`: quotes are optional, a backslash escapes the next character. */
function fromKeywords(dsn: string): Map<string, string> {
  const parts = new Map<string, string>();
  const pair = /\s*([\w.-]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?)(?:\s|$)\s*/gsy;
  let end = 0;
  for (const match of dsn.matchAll(pair)) {
    parts.set(match[1] ?? '', (match[2] ?? match[3] ?? '').replaceAll(/\\(.)/gs, '$1'));
    end = match.index + match[0].length;
  }
  if (end !== dsn.length || parts.size === 0) {
    throw invalid('must be a postgres:// URL, a list such as host=… dbname=…, pglite:DIR or pglite:memory');
  }
  return parts;
}

function invalid(why: string): FacteurError {
  return new FacteurError('config.postgres_dsn', why, { retryable: false });
}
