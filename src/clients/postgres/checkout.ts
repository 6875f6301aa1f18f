import type { PoolClient, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { MAX_TIMER_MS } from '../../base/timer.ts';
import { DatabaseError, type Queryable, type Result, type Statement } from './database.ts';
import { losesConnection, statementError } from './map-error.ts';
import type { StatementTelemetry } from './statement-telemetry.ts';

/** The part of a pooled connection that is used here. */
export type PooledConnection = Pick<PoolClient, 'query' | 'on' | 'off' | 'release'>;

/** A result with the server's command tag, such as `COMMIT`. */
type TaggedResult<Row> = Result<Row> & { readonly command: string };

/** One connection for one unit of work: runs statements one by one, and tracks whether the connection is still usable. */
export class Checkout implements Queryable {
  readonly #connection: PooledConnection;
  readonly #telemetry: StatementTelemetry;
  #lost = false;
  #over = false;
  #limits = true;
  #last: Promise<unknown> = Promise.resolve();

  constructor(connection: PooledConnection, telemetry: StatementTelemetry) {
    this.#connection = connection;
    this.#telemetry = telemetry;
    // Without a listener, a connection that dies between two statements would end the process.
    connection.on('error', this.#onError);
  }

  /** Removes the time limit from later statements. */
  liftLimits(): void {
    this.#limits = false;
  }

  /** Drops the connection on release, with everything that it still holds: a transaction, locks, settings. */
  lose(): void {
    this.#lost = true;
  }

  /** Makes `query` reject from now on: a statement after the end of its transaction would silently run outside it. */
  finish(): void {
    this.#over = true;
  }

  /** Returns the connection to the pool, or drops it if it is broken. */
  release(): void {
    this.#connection.off('error', this.#onError);
    this.#connection.release(this.#lost);
  }

  query<Row = Record<string, unknown>>(statement: Statement): Promise<Result<Row>> {
    if (this.#over) {
      const message = `statement ${statement.name ?? ''} came after the end of its transaction`;
      return Promise.reject(new DatabaseError('postgres.failed', message, { retryable: false }));
    }
    return this.run(statement);
  }

  /** Like `query`, but works after `finish` too. */
  async run<Row = Record<string, unknown>>(statement: Statement): Promise<TaggedResult<Row>> {
    const name = statement.name ?? '(unnamed)';
    const turn = this.#last.then(() => this.#telemetry.statement(name, () => this.#send<Row>(statement)));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #send<Row>(statement: Statement): Promise<TaggedResult<Row>> {
    // The work of a session (building an index) may take any time.
    const limit = this.#limits ? undefined : { query_timeout: MAX_TIMER_MS };
    const values = statement.values === undefined ? undefined : { values: sendable(statement) };
    try {
      // Several statements in one text give a list of results; the last one counts, as in psql.
      const answer: unknown = await this.#connection.query({ ...statement, ...values, ...limit } as QueryConfig);
      const result = (Array.isArray(answer) ? answer.at(-1) : answer) as QueryResult<Row & QueryResultRow>;
      return { rows: result.rows, rowCount: result.rowCount ?? 0, command: result.command };
    } catch (error) {
      this.#lost ||= losesConnection(error);
      throw statementError(error, statement.name);
    }
  }

  readonly #onError = (): void => {
    this.lose();
  };
}

/**
 * Converts objects to JSON text, as `pg` would. Done before anything is sent, because `pg` sends the statement first: a circular
 * value would then leave half a message behind, and the embedded engine never recovers.
 */
function sendable({ name, values = [] }: Statement): unknown[] {
  try {
    return values.map((value) => (isPlain(value) ? JSON.stringify(value) : value));
  } catch (error) {
    throw statementError(error, name);
  }
}

function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  return !(Array.isArray(value) || value instanceof Date || ArrayBuffer.isView(value) || 'toPostgres' in value);
}
