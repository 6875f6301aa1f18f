import type { Database, Queryable, Result, Statement, Subscription } from './database.ts';
import { DatabaseError } from './database.ts';
import { type PooledConnection, Checkout } from './checkout.ts';
import { createStatementTelemetry } from './statement-telemetry.ts';

/** What an engine provides: connections, notifications and a way to close. `acquire` rejects with a DatabaseError. */
export interface Engine {
  acquire(): Promise<PooledConnection>;
  /** A connection that is not shared with other work, if the engine can have several. */
  acquireProbe(): Promise<PooledConnection>;
  listen(channel: string, handler: (payload: string) => void): Promise<Subscription>;
  end(): Promise<void>;
  /** A statement that every connection runs first, and again when a session returns it; empty for none. */
  readonly settings: string;
}

/** Settings of the embedded engine; `open-postgres.ts` gives the reason. */
export const EMBEDDED_SETTINGS = 'SET enable_seqscan = off';

/** Removes the limits on the session's statements and (from PostgreSQL 17 on) transactions. */
const UNLIMITED = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout')`;

/** True on a standby, and if an administrator forbids writes, as some hosts do while the disk is full. */
const READ_ONLY = `SELECT current_setting('transaction_read_only') = 'on' AS "readOnly"`;

/** A Database over any engine that hands out `pg` connections: the only implementation of transactions and sessions. */
export class PoolDatabase implements Database {
  readonly #engine: Engine;
  readonly #telemetry = createStatementTelemetry();
  #closed: Promise<void> | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async query<Row = Record<string, unknown>>(statement: Statement): Promise<Result<Row>> {
    return this.#lend((checkout) => checkout.run<Row>(statement));
  }

  async ping(): Promise<void> {
    this.#refuseWhenClosed();
    const checkout = new Checkout(await this.#engine.acquireProbe(), this.#telemetry);
    try {
      const { rows } = await checkout.run<{ readOnly: boolean }>({ name: 'ping', text: READ_ONLY });
      if (rows[0]?.readOnly === true) {
        checkout.lose();
        throw new DatabaseError('postgres.unavailable', 'postgres is read-only', { retryable: true });
      }
    } finally {
      checkout.release();
    }
  }

  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    return this.#lend(async (checkout) => {
      await checkout.run({ text: 'BEGIN' });
      try {
        const result = await work(checkout);
        await commit(checkout);
        return result;
      } catch (error) {
        await undo(checkout, 'ROLLBACK');
        throw error;
      }
    });
  }

  async session<T>(work: (session: Queryable) => Promise<T>): Promise<T> {
    return this.#lend(async (checkout) => {
      await checkout.run({ text: UNLIMITED });
      checkout.liftLimits();
      try {
        return await work(checkout);
      } finally {
        await undo(checkout, `ROLLBACK; RESET ALL; ${this.#engine.settings}; SELECT pg_advisory_unlock_all()`);
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

  async #lend<T>(work: (checkout: Checkout) => Promise<T>): Promise<T> {
    this.#refuseWhenClosed();
    const connection = await this.#telemetry.wait(() => this.#engine.acquire());
    const checkout = new Checkout(connection, this.#telemetry);
    try {
      return await work(checkout);
    } finally {
      checkout.release();
    }
  }
}

/** Commits and verifies it: after a failed statement, Postgres silently answers COMMIT with ROLLBACK. */
async function commit(checkout: Checkout): Promise<void> {
  checkout.finish();
  const { command } = await checkout.run({ text: 'COMMIT' });
  if (command !== 'COMMIT') {
    throw new DatabaseError('postgres.failed', 'a statement of the transaction failed, so it was rolled back', {
      retryable: false,
    });
  }
}

/** Rolls back without hiding the original error: if it fails, the connection is dropped, which also rolls back. */
async function undo(checkout: Checkout, text: string): Promise<void> {
  checkout.finish();
  try {
    await checkout.run({ text });
  } catch {
    checkout.lose();
  }
}
