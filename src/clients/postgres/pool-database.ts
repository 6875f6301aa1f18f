import type { Database, Queryable, Result, Statement, Subscription } from './database.ts';
import { DatabaseError } from './database.ts';
import { type Connection, Lease } from './lease.ts';
import { createStatementTelemetry } from './statement-telemetry.ts';

/** What an engine has to offer: connections, notifications and an end. `acquire` rejects with a DatabaseError. */
export interface Engine {
  acquire(): Promise<Connection>;
  listen(channel: string, handler: (payload: string) => void): Promise<Subscription>;
  end(): Promise<void>;
}

/** A Database over any engine that hands out `pg` connections: what a transaction and a session are, said once. */
export class PoolDatabase implements Database {
  readonly #engine: Engine;
  readonly #telemetry = createStatementTelemetry();
  #closed: Promise<void> | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async query<Row = Record<string, unknown>>(statement: Statement): Promise<Result<Row>> {
    return this.#lend((lease) => lease.run<Row>(statement));
  }

  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    return this.#lend(async (lease) => {
      await lease.run({ text: 'BEGIN' });
      try {
        const result = await work(lease);
        await commit(lease);
        return result;
      } catch (error) {
        await undo(lease, 'ROLLBACK');
        throw error;
      }
    });
  }

  async session<T>(work: (session: Queryable) => Promise<T>): Promise<T> {
    return this.#lend(async (lease) => {
      await lease.run({ text: 'SET statement_timeout = 0' });
      lease.liftLimits();
      try {
        return await work(lease);
      } finally {
        await undo(lease, 'ROLLBACK; RESET ALL; SELECT pg_advisory_unlock_all()');
      }
    });
  }

  async listen(channel: string, handler: (payload: string) => void): Promise<Subscription> {
    this.#refuseWhenClosed();
    return this.#engine.listen(channel, handler);
  }

  close(): Promise<void> {
    this.#closed ??= this.#engine.end();
    return this.#closed;
  }

  #refuseWhenClosed(): void {
    if (this.#closed !== undefined) {
      throw new DatabaseError('postgres.unavailable', 'the database is closed', { retryable: true });
    }
  }

  async #lend<T>(work: (lease: Lease) => Promise<T>): Promise<T> {
    this.#refuseWhenClosed();
    const connection = await this.#telemetry.wait(() => this.#engine.acquire());
    const lease = new Lease(connection, this.#telemetry);
    try {
      return await work(lease);
    } finally {
      lease.release();
    }
  }
}

/** Commits, and makes sure of it: when a statement has failed, Postgres answers COMMIT with a quiet ROLLBACK. */
async function commit(lease: Lease): Promise<void> {
  lease.finish();
  const { command } = await lease.run({ text: 'COMMIT' });
  if (command !== 'COMMIT') {
    throw new DatabaseError('postgres.failed', 'a statement of the transaction had failed, so nothing was kept', {
      retryable: false,
    });
  }
}

/** Undoing must not hide why it was needed: when it fails, the connection is dropped, which undoes just as well. */
async function undo(lease: Lease, text: string): Promise<void> {
  lease.finish();
  try {
    await lease.run({ text });
  } catch {
    lease.lose();
  }
}
