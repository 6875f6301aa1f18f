import { join } from 'node:path';
import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { createPgConfig } from '@electric-sql/pglite/node-postgres';
import { vector } from '@electric-sql/pglite-pgvector';
import { Client, escapeIdentifier, Pool } from 'pg';
import type { Database } from './database.ts';
import { lockDirectory } from './directory-lock.ts';
import type { PooledConnection } from './checkout.ts';
import { connectionError } from './map-error.ts';
import { EMBEDDED_SETTINGS, type Engine, PoolDatabase } from './pool-database.ts';

interface PgliteOptions {
  /** Where the data is kept; without it, in memory. */
  readonly directory?: string;
  /** A data directory to start from, as returned by `dumpDataDir`. */
  readonly snapshot?: Blob;
  /** This process's id, for the error of another process that wants the directory. */
  readonly pid: number;
  /** Called when the engine fails while no statement is running. */
  readonly onLost: (error: Error) => void;
}

/** The embedded engine, with extra methods for tests. */
interface EmbeddedDatabase extends Database {
  /** The whole data directory as one archive, to start another engine from. */
  snapshot(): Promise<Blob>;
}

/** How long to wait for the one connection, in milliseconds; after that, something holds it permanently. */
const WAIT_MS = 30_000;

/** The embedded engine as a database, booted. @throws as {@link bootPglite} does */
export async function openPglite(options: PgliteOptions): Promise<EmbeddedDatabase> {
  const { snapshot, ...engine } = await bootPglite(options);
  return Object.assign(new PoolDatabase(engine), { snapshot });
}

/**
 * PostgreSQL inside the process: one connection, durable if a directory is given (its data is in `pgdata` there),
 * and 300 to 500 MiB of memory. Time limits on statements do not work here.
 *
 * This module loads the engine, so import it only if it is needed.
 *
 * @throws DatabaseError `postgres.failed` if another process has the directory
 */
export async function bootPglite(options: PgliteOptions): Promise<Engine & Pick<EmbeddedDatabase, 'snapshot'>> {
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
  const unfinished = new Set<Promise<void>>();
  const pool = connectionPool(lite, unfinished).on('error', onLost);
  const acquire = async (): Promise<PooledConnection> => {
    try {
      return await pool.connect();
    } catch (error) {
      throw connectionError(error);
    }
  };
  return {
    settings: EMBEDDED_SETTINGS,
    acquire,
    acquireProbe: acquire,
    listen: async (channel, handler) => {
      const name = escapeIdentifier(channel);
      await lite.listen(name, handler);
      // Not the function that `listen` returned: it looks for the name in lower case.
      return { close: () => lite.unlisten(name, handler) };
    },
    end: async () => {
      await pool.end();
      // The engine spins forever if a message reaches it while it closes.
      await Promise.all(unfinished);
      await lite.close();
      unlock();
    },
    snapshot: () => lite.dumpDataDir('none'),
  };
}

async function boot(options: PGliteOptions): Promise<PGlite> {
  const lite = new PGlite(options);
  await lite.waitReady;
  await lite.exec(EMBEDDED_SETTINGS);
  return lite;
}

/**
 * `pg`'s own pool over the engine, so that values are read and written just as with a server. Each client gets its
 * own
 * adapter, since a closed one cannot be reused; statements that an earlier client prepared are removed first.
 *
 * @param unfinished receives one promise for each closed client that still has messages on their way to the engine
 */
function connectionPool(lite: PGlite, unfinished: Set<Promise<void>>): Pool {
  return new Pool({
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: WAIT_MS,
    Client: class extends Client {
      constructor() {
        super(createPgConfig(gathering(lite)));
        const { connection } = this;
        const end = connection.end.bind(connection);
        connection.end = () => {
          end();
          // A failed statement is reported before the rest of its messages are sent, and its listeners are gone by now. Nothing
          // waits for those messages, and without a listener their error would end the process.
          connection.on('error', () => undefined);
          const sent = new Promise<void>((resolve) => connection.once('end', resolve));
          unfinished.add(sent);
          void sent.then(() => unfinished.delete(sent));
        };
      }
    },
    verify: (client, done) => {
      client.query('ROLLBACK; DEALLOCATE ALL', done);
    },
  });
}

/** Messages of `pg` that get no answer until another kind follows: Parse, Bind, Describe, Execute, Close. */
const UNANSWERED: ReadonlySet<number | undefined> = new Set(Buffer.from('PBDEC'));

/**
 * The engine for one client, which gets the messages of a statement together, like one write to a server. Sent one by one, each
 * costs a turn of the engine and its queue, which takes longer than most statements.
 */
function gathering(lite: PGlite): PGlite {
  const waiting: Uint8Array[] = [];
  const execProtocolStream: PGlite['execProtocolStream'] = async (message, options) => {
    waiting.push(message);
    if (UNANSWERED.has(message[0])) {
      return [];
    }
    const together = Buffer.concat(waiting.splice(0));
    // Exclusive, because the engine's own LISTEN or UNLISTEN could come between these messages, or take their answer.
    return lite.runExclusive(() => lite.execProtocolStream(together, options));
  };
  // The parts of an engine that the adapter uses.
  return { waitReady: lite.waitReady, execProtocolStream } as unknown as PGlite;
}
