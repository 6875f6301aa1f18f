import { Client, type ClientBase, type ClientConfig, Pool, type PoolClient } from 'pg';
import { errorMessage } from '../../base/errors.ts';
import { remember } from '../../base/remember.ts';
import type { PostgresDsn, TargetSession } from '../../config/postgres-dsn.ts';

/** One of the DSN's servers, and the role that it must have. */
export interface Candidate {
  readonly host: string;
  readonly port: number;
  readonly wants: Exclude<TargetSession, 'prefer-standby'>;
}

/** In the order in which they are tried: `prefer-standby` accepts any server if there is no standby. */
export function candidatesOf({ hosts, target }: Pick<PostgresDsn, 'hosts' | 'target'>): readonly Candidate[] {
  const each = (wants: Candidate['wants']): Candidate[] => hosts.map((host) => ({ ...host, wants }));
  return target === 'prefer-standby' ? [...each('standby'), ...each('any')] : each(target);
}

interface ServersOptions {
  readonly candidates: readonly Candidate[];
  /** Options for `pg` to connect to one of them. */
  readonly settingsFor: (candidate: Candidate) => Promise<ClientConfig>;
  /** The statement that every connection runs first. */
  readonly firstStatement: string;
  readonly poolSize: number;
  /** Idle connections are closed after this long, in milliseconds. */
  readonly idleMs: number;
  /** Called when an idle connection is lost. */
  readonly onLost: (error: Error) => void;
}

/** A refused password, an unknown database, or no right to connect: other servers would answer the same. */
const SAME_EVERYWHERE = new Set(['28P01', '3D000', '42501']);

/**
 * The servers of a DSN, each with its own pool. One is in use: the first acceptable one. It stays in use until it fails or is no
 * longer acceptable; then all are tried from the first.
 */
export class Servers {
  readonly #servers: readonly Server[];
  #current = 0;

  constructor(options: ServersOptions) {
    this.#servers = options.candidates.map((candidate) => new Server(candidate, options));
  }

  /** A pooled connection. */
  acquire(): Promise<PoolClient> {
    return this.#search((server) => server.acquire());
  }

  /** A connection outside the pool; the caller must end it. */
  connect(): Promise<Client> {
    return this.#search((server) => server.connect());
  }

  async end(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.end()));
  }

  async #search<T>(attempt: (server: Server) => Promise<T>): Promise<T> {
    const first = this.#current;
    const order = [first, ...this.#servers.map((_, index) => index).filter((index) => index !== first)];
    const failures: Error[] = [];
    for (const index of order) {
      const server = this.#servers[index];
      try {
        const found = await attempt(server as Server);
        this.#current = index;
        return found;
      } catch (error) {
        if (order.length === 1 || server?.isOnlyOne(error) === true) {
          throw error;
        }
        failures.push(error as Error);
      }
    }
    throw new AggregateError(failures, failures.map(errorMessage).join('; '));
  }
}

/** The server answers, but does not have the role that the DSN requires. */
class WrongServer extends Error {}

class Server {
  readonly #candidate: Candidate;
  readonly #options: ServersOptions;
  readonly #settings: () => Promise<ClientConfig>;
  readonly #pool: () => Promise<Pool>;
  readonly #established = new Set<ClientBase>();
  #opened: Pool | undefined;

  constructor(candidate: Candidate, options: ServersOptions) {
    this.#candidate = candidate;
    this.#options = options;
    this.#settings = remember(() => options.settingsFor(candidate));
    this.#pool = remember(() => this.#openPool());
  }

  async acquire(): Promise<PoolClient> {
    this.#opened = await this.#pool();
    return this.#opened.connect();
  }

  async connect(): Promise<Client> {
    const client = new Client(await this.#settings());
    // The server may close a connection right after the greeting, when nothing else listens yet.
    client.on('error', () => undefined);
    try {
      await client.connect();
      await this.#prepare(client);
      return client;
    } catch (error) {
      void client.end().catch(() => undefined);
      throw error;
    }
  }

  /** Whether to try no other server after this error: this one has connections, or all would answer the same. */
  isOnlyOne(error: unknown): boolean {
    if (error instanceof WrongServer) {
      return false;
    }
    const { code } = error as { readonly code?: unknown };
    return this.#established.size > 0 || (typeof code === 'string' && SAME_EVERYWHERE.has(code));
  }

  async end(): Promise<void> {
    await this.#opened?.end();
  }

  async #openPool(): Promise<Pool> {
    const { poolSize, idleMs, onLost } = this.#options;
    const pool = new Pool({
      ...(await this.#settings()),
      max: poolSize,
      idleTimeoutMillis: idleMs,
      // oxlint-disable-next-line typescript/no-misused-promises -- The pool waits for it; its types do not say so.
      onConnect: (client: ClientBase) => this.#prepare(client),
    });
    // The pool drops an idle connection that fails; without a listener its error would end the process.
    pool.on('error', onLost);
    pool.on('connect', (client) => {
      this.#established.add(client);
      // Between the pool's listener and the checkout's there is a moment without any, in which the server may close a
      // new connection right after the greeting. The next statement then fails and reports it.
      client.on('error', () => undefined);
    });
    pool.on('remove', (client) => this.#established.delete(client));
    return pool;
  }

  /** Settings are applied by a statement and not in the startup message, because PgBouncer rejects unknown ones there. */
  async #prepare(client: ClientBase): Promise<void> {
    await client.query(this.#options.firstStatement);
    if (this.#candidate.wants !== 'any') {
      await assertIs(this.#candidate, client);
    }
  }
}

const KIND = `SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS readonly`;

async function assertIs({ host, port, wants }: Candidate, client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ standby: boolean; readonly: boolean }>(KIND);
  const { standby = false, readonly = false } = rows[0] ?? {};
  const is = { any: true, standby, primary: !standby, 'read-only': readonly, 'read-write': !readonly };
  if (!is[wants]) {
    throw new WrongServer(`${host}:${port} is not ${wants}`);
  }
}
