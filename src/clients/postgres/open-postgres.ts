import { type ClientConfig, escapeLiteral } from 'pg';
import { FacteurError } from '../../base/errors.ts';
import { MAX_TIMER_MS } from '../../base/timer.ts';
import { parsePostgresDsn, type PostgresDsn } from '../../config/postgres-dsn.ts';
import { connectionError } from './map-error.ts';
import type { Database } from './database.ts';
import type { PooledConnection } from './checkout.ts';
import { ChannelListener } from './listener.ts';
import { PoolDatabase } from './pool-database.ts';
import { type Candidate, candidatesOf, Servers } from './servers.ts';
import { tlsFor } from './tls.ts';

export interface PostgresOptions {
  readonly dsn: string;
  /** Maximum number of connections, besides one for LISTEN; the DSN's `pool_max_conns` takes precedence. */
  readonly poolSize?: number;
  /** Maximum wait for a new or a free connection, in milliseconds; the DSN's `connect_timeout` takes precedence. */
  readonly connectTimeoutMs?: number;
  /** Time limit of a statement, in milliseconds; the DSN's `statement_timeout` takes precedence. */
  readonly statementTimeoutMs?: number;
  /** How often an idle LISTEN connection is checked, in milliseconds. */
  readonly heartbeatMs?: number;
  /** A number in [0, 1), to spread reconnections of replicas. */
  readonly random: () => number;
  /** Called when an idle connection is lost, because nothing else would report it. */
  readonly onLost: (error: Error) => void;
}

/** A server that has gone silent does not enforce its own statement_timeout: the client waits this much longer. */
const SILENCE_MS = 2_000;

/** The server ends an idle transaction after this long: it holds locks. */
const IDLE_TRANSACTION_MS = 30_000;

/** Idle connections are kept this long: a burst after a quiet minute should not have to connect. */
const IDLE_CONNECTION_MS = 60_000;

/** PostgreSQL by DSN. It connects on first use: while a server is down, statements fail, but opening does not. */
export function openPostgres(options: PostgresOptions): Database {
  const dsn = parsePostgresDsn(options.dsn);
  if (dsn === undefined) {
    throw new FacteurError('postgres.failed', 'the embedded engine is no server', { retryable: false });
  }
  const limits = {
    connectMs: dsn.connectTimeoutMs ?? options.connectTimeoutMs ?? 5_000,
    statementMs: dsn.statementTimeoutMs ?? options.statementTimeoutMs ?? 10_000,
  };
  const settings = settingsStatement(dsn, limits);
  const serversFor = (poolSize: number, within: Limits): Servers =>
    new Servers({
      candidates: candidatesOf(dsn),
      settingsFor: (candidate) => clientSettings(dsn, candidate, within),
      firstStatement: settings,
      poolSize,
      idleMs: IDLE_CONNECTION_MS,
      onLost: options.onLost,
    });
  const servers = serversFor(dsn.poolSize ?? options.poolSize ?? 10, limits);
  const probes = serversFor(1, PROBE_LIMITS);
  const listener = new ChannelListener({
    connect: () => servers.connect(),
    random: options.random,
    onLost: options.onLost,
    heartbeatMs: options.heartbeatMs ?? 60_000,
  });
  return new PoolDatabase({
    settings,
    acquire: () => connected(servers),
    acquireProbe: () => connected(probes),
    listen: (channel, handler) => listener.listen(channel, handler),
    end: async () => {
      await listener.close();
      await Promise.all([servers.end(), probes.end()]);
    },
  });
}

interface Limits {
  readonly connectMs: number;
  readonly statementMs: number;
}

/** A probe fails early, because its callers do not wait long. */
const PROBE_LIMITS: Limits = { connectMs: 2_000, statementMs: 1_000 };

async function connected(servers: Servers): Promise<PooledConnection> {
  try {
    return await servers.acquire();
  } catch (error) {
    throw connectionError(error);
  }
}

/**
 * Sets all session settings in one statement, each in the syntax of the server's configuration file, including lists and units.
 */
function settingsStatement(dsn: PostgresDsn, { statementMs }: Limits): string {
  const settings = {
    statement_timeout: `${statementMs}`,
    idle_in_transaction_session_timeout: `${IDLE_TRANSACTION_MS}`,
    // The pool closes idle connections itself, and the one for LISTEN is always idle.
    idle_session_timeout: '0',
    // Otherwise `pg` reads timestamps as null.
    datestyle: 'ISO',
    // Otherwise floats arrive rounded to 15 digits; versions of reflections need more.
    extra_float_digits: '1',
    // Otherwise a backslash in our statements and functions is an escape.
    standard_conforming_strings: 'on',
    // Statements that wait for a lock must see what was committed meanwhile.
    default_transaction_isolation: 'read committed',
    // Plans are cached. One made for a small table would still scan it after it has grown, until the next ANALYZE; so would the
    // server's own checks of foreign keys.
    enable_seqscan: 'off',
    ...dsn.settings,
  };
  const calls = Object.entries(settings).map(
    ([name, value]) => `set_config(${escapeLiteral(name)}, ${escapeLiteral(value)}, false)`,
  );
  return `SELECT ${calls.join(', ')}`;
}

/** All connection options for `pg`. */
async function clientSettings(dsn: PostgresDsn, candidate: Candidate, limits: Limits): Promise<ClientConfig> {
  const { host, port } = candidate;
  const { user, password, database, options } = dsn;
  return {
    host,
    port,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password: password.reveal() }),
    ...(database === undefined ? {} : { database }),
    ...(options === undefined ? {} : { options }),
    application_name: dsn.applicationName,
    connectionTimeoutMillis: limits.connectMs,
    query_timeout: Math.min(MAX_TIMER_MS, limits.statementMs + SILENCE_MS),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ssl: await tlsFor(dsn.tls, candidate, limits.connectMs),
  };
}
