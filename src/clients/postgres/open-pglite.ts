import { join } from 'node:path';
import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { createPgConfig } from '@electric-sql/pglite/node-postgres';
import { vector } from '@electric-sql/pglite-pgvector';
import { Client, escapeIdentifier, Pool } from 'pg';
import type { Database } from './database.ts';
import { lockDirectory } from './directory-lock.ts';
import { connectionError } from './map-error.ts';
import { PoolDatabase } from './pool-database.ts';

export interface PgliteOptions {
  /** Where the data is kept; without it, in memory. */
  readonly directory?: string;
  /** A data directory to begin with, as `dumpDataDir` gives it. */
  readonly snapshot?: Blob;
  /** Of this process, to name it to another one that wants the directory. */
  readonly pid: number;
  /** Told when the engine fails while no statement is running. */
  readonly onLost: (error: Error) => void;
}

/** The embedded engine, with what the tests need beside the database. */
export interface EmbeddedDatabase extends Database {
  /** The whole data directory as one archive, to begin another one with. */
  snapshot(): Promise<Blob>;
}

/** All statements wait for the one connection; more than this, in milliseconds, and something holds it for good. */
const WAIT_MS = 30_000;

/**
 * PostgreSQL inside the process: one connection, durable when a directory is given (its data is in `pgdata` there),
 * and 300 to 500 MiB of memory. Time limits on statements do not work here.
 *
 * This module loads the engine, so import it only when it is wanted.
 *
 * @throws DatabaseError `postgres.failed` when another process has the directory
 */
export async function openPglite(options: PgliteOptions): Promise<EmbeddedDatabase> {
  const { directory, snapshot, pid, onLost } = options;
  const unlock = directory === undefined ? () => undefined : await lockDirectory(directory, pid);
  const lite = await boot({
    extensions: { vector },
    ...(directory === undefined ? {} : { dataDir: join(directory, 'pgdata') }),
    ...(snapshot === undefined ? {} : { loadDataDir: snapshot }),
  }).catch((error: unknown) => {
    unlock();
    throw error;
  });
  const pool = connectionPool(lite).on('error', onLost);
  const database = new PoolDatabase({
    acquire: async () => {
      try {
        return await pool.connect();
      } catch (error) {
        throw connectionError(error);
      }
    },
    listen: async (channel, handler) => {
      const name = escapeIdentifier(channel);
      await lite.listen(name, handler);
      // Not what `listen` gave: that looks for the name in lower case.
      return { close: () => lite.unlisten(name, handler) };
    },
    end: async () => {
      await pool.end();
      await lite.close();
      unlock();
    },
  });
  return Object.assign(database, { snapshot: () => lite.dumpDataDir('none') });
}

async function boot(options: PGliteOptions): Promise<PGlite> {
  const lite = new PGlite(options);
  await lite.waitReady;
  return lite;
}

/**
 * `pg`'s own pool over the engine, so that values are read and written just as with a server. Each client gets an
 * adapter of its own, since an ended one is of no use any more; what an earlier client prepared is forgotten first.
 */
function connectionPool(lite: PGlite): Pool {
  return new Pool({
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: WAIT_MS,
    Client: class extends Client {
      constructor() {
        super(createPgConfig(lite));
        const { connection } = this;
        const end = connection.end.bind(connection);
        connection.end = () => {
          end();
          // What was sent before is still on its way, all listeners are gone, and it fails should the engine be closed by
          // then: nobody waits for it any more, and without a listener the process would die of it.
          connection.on('error', () => undefined);
        };
      }
    },
    verify: (client, done) => {
      client.query('ROLLBACK; DEALLOCATE ALL', done);
    },
  });
}
