import { type ClientConfig, Pool } from 'pg';
import { connectionError } from './map-error.ts';
import type { Database } from './database.ts';
import { type Dsn, parseDsn } from './dsn.ts';
import { Listener } from './listener.ts';
import { PoolDatabase } from './pool-database.ts';
import { tlsFor } from './tls.ts';

export interface PostgresOptions {
  readonly dsn: string;
  /** Connections at most, besides one for LISTEN; the DSN's `pool_max_conns` wins. */
  readonly poolSize?: number;
  /** Wait for a new or a free connection, in milliseconds. */
  readonly connectTimeoutMs?: number;
  /** Longest statement, in milliseconds; the DSN's `statement_timeout` wins. */
  readonly statementTimeoutMs?: number;
  /** How often an idle LISTEN connection is checked, in milliseconds. */
  readonly heartbeatMs?: number;
  /** A number in [0, 1), to spread reconnections of replicas. */
  readonly random: () => number;
  /** Told when a connection is lost that no statement was using, so that nobody else would say so. */
  readonly onLost: (error: Error) => void;
}

/** A server that has gone silent does not enforce its own statement_timeout: the client waits this much longer. */
const SILENCE_MS = 2_000;

/** A transaction that its owner forgot holds locks; the server ends it after this long. */
const IDLE_TRANSACTION_MS = 30_000;

/** Idle connections are kept this long: a burst after a quiet minute should not pay for connecting. */
const IDLE_CONNECTION_MS = 60_000;

/**
 * PostgreSQL by DSN. Nothing connects before it is used, so a server that is down is an error of the first statement
 * and of each later one until it is up, never of opening.
 */
export function openPostgres(options: PostgresOptions): Database {
  const dsn = parseDsn(options.dsn);
  const settings = clientSettings(dsn, options);
  const size = dsn.poolSize ?? options.poolSize ?? 10;
  const pool = remember(async () => newPool(await settings(), size, options.onLost));
  const listener = new Listener({
    settings,
    random: options.random,
    onLost: options.onLost,
    heartbeatMs: options.heartbeatMs ?? 60_000,
  });
  let opened: Pool | undefined;
  return new PoolDatabase({
    acquire: async () => {
      try {
        opened = await pool();
        return await opened.connect();
      } catch (error) {
        throw connectionError(error);
      }
    },
    listen: (channel, handler) => listener.listen(channel, handler),
    end: async () => {
      await listener.close();
      await opened?.end();
    },
  });
}

/** Everything that `pg` is told about a connection; TLS is settled at the first one. */
function clientSettings(dsn: Dsn, options: PostgresOptions): () => Promise<ClientConfig> {
  const connectTimeout = dsn.client.connectionTimeoutMillis ?? options.connectTimeoutMs ?? 5_000;
  const statementTimeout = (dsn.client.statement_timeout || options.statementTimeoutMs) ?? 10_000;
  return remember(async () => ({
    statement_timeout: statementTimeout,
    idle_in_transaction_session_timeout: IDLE_TRANSACTION_MS,
    ...dsn.client,
    connectionTimeoutMillis: connectTimeout,
    query_timeout: statementTimeout + SILENCE_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    ssl: await tlsFor(dsn, connectTimeout),
  }));
}

function newPool(settings: ClientConfig, max: number, onLost: (error: Error) => void): Pool {
  const pool = new Pool({ ...settings, max, idleTimeoutMillis: IDLE_CONNECTION_MS });
  // The pool drops an idle connection that fails by itself; without a listener its error would end the process.
  pool.on('error', onLost);
  // Between the pool's listener and the lease's there is a moment without any, in which the server may end a new
  // connection in the same breath as it welcomes it. The statement that follows fails then, and says so.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Keeps what `make` gave; a failure is not kept, so the next call tries again. */
function remember<T>(make: () => Promise<T>): () => Promise<T> {
  let kept: Promise<T> | undefined;
  return async () => {
    kept ??= make();
    try {
      return await kept;
    } catch (error) {
      kept = undefined;
      throw error;
    }
  };
}
