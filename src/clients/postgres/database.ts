import { FacteurError } from '../../base/errors.ts';

/**
 * One SQL statement. With a `name` it is prepared once per connection (1.6 times faster than without), so the same
 * name must always have the same text. Without a name and values it may contain several statements separated by `;`.
 */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

/** The result of a statement: its rows, and how many rows it returned or changed. */
export interface Result<Row> {
  readonly rows: Row[];
  readonly rowCount: number;
}

/**
 * Anything that runs statements. Column types arrive as `pg` gives them: bigint and numeric as text, timestamptz as
 * Date, jsonb parsed, vector as text. Every failure is a {@link DatabaseError}.
 */
export interface Queryable {
  query<Row = Record<string, unknown>>(statement: Statement): Promise<Result<Row>>;
}

/** A running LISTEN. `close` stops it; no handler call follows once its promise is settled. */
export interface Subscription {
  close(): Promise<void>;
}

/**
 * Postgres, real or embedded. Each statement on the database itself is its own transaction and may run concurrently with others.
 * Inside `transaction` and `session` use only the argument: the embedded engine has one connection, and waiting for a second one
 * there times out.
 */
export interface Database extends Queryable {
  /** Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /** Reserves one connection, without a transaction, for `work`: for session-level locks and bare DDL. */
  session<T>(work: (session: Queryable) => Promise<T>): Promise<T>;
  /**
   * Calls `handler` with the payload of every NOTIFY on `channel`. A lost connection is reopened automatically, and
   * `handler` is then called with `''`, because notifications may have been missed: an empty payload means "look
   * again".
   */
  listen(channel: string, handler: (payload: string) => void): Promise<Subscription>;
  /**
   * Resolves when the server answers and accepts writes. On a server this uses a separate connection: a server is not down
   * because all pooled ones are busy.
   */
  ping(): Promise<void>;
  /** Ends all connections, waiting for running statements. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * - `postgres.unavailable`: not reachable, full, stopping, or too slow; retry later
 * - `postgres.conflict`: a unique constraint (see `constraint`), or a lost race (then `retryable`)
 * - `postgres.invalid`: a value that Postgres cannot store (SQLSTATE class 22); the sender's fault
 * - `postgres.broken`: Postgres cannot execute the statement with any values: a table or a permission is missing, a
 * disk or a file is damaged; works again when an operator has fixed that
 * - `postgres.failed`: anything else, a bug
 */
export type DatabaseErrorCode =
  | 'postgres.unavailable'
  | 'postgres.conflict'
  | 'postgres.invalid'
  | 'postgres.broken'
  | 'postgres.failed';

/** Data about a failure besides its message. */
interface DatabaseErrorOptions {
  readonly retryable: boolean;
  readonly sqlState?: string | undefined;
  readonly constraint?: string | undefined;
  readonly cause?: unknown;
}

/** A failure of Postgres. Neither the message nor the cause contains a password or a statement's values. */
export class DatabaseError extends FacteurError {
  declare readonly code: DatabaseErrorCode;
  /** The five-character SQLSTATE, when the server gave one. */
  readonly sqlState: string | undefined;
  /** Name of the violated constraint. */
  readonly constraint: string | undefined;

  constructor(code: DatabaseErrorCode, message: string, options: DatabaseErrorOptions) {
    super(code, message, { retryable: options.retryable, cause: options.cause });
    this.sqlState = options.sqlState;
    this.constraint = options.constraint;
  }
}
