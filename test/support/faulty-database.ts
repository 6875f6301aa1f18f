import {
  DatabaseError,
  type Database,
  type Queryable,
  type Result,
  type Statement,
} from '../../src/clients/postgres/database.ts';

/** Faults that a test injects into statements. */
export interface DatabaseFaults {
  /** Called with the name of each statement before it runs. If it throws, the caller gets the error, and nothing runs. */
  before: (statement: string) => Promise<void> | void;
  /** Called after each statement. If it throws, the caller does not learn that the statement was executed. */
  after: (statement: string) => Promise<void> | void;
}

export type FaultyDatabase = Database & { readonly faults: DatabaseFaults };

/** Fails like a server that is down or a broken connection. */
export function unavailable(): never {
  throw new DatabaseError('postgres.unavailable', 'postgres is not available: cut by the test', { retryable: true });
}

/** Lets a process sweep once: later changes must be announced to be found. */
export function firstSweepOnly(): DatabaseFaults['before'] {
  let sweeps = 0;
  return (statement) => {
    sweeps += statement === 'due-work' ? 1 : 0;
    return statement === 'due-work' && sweeps > 1 ? unavailable() : undefined;
  };
}

/**
 * A view of a database. Closing it does not close the database, and its statements can be made to fail or wait, before or
 * after their execution.
 */
export function faultyDatabase(db: Database): FaultyDatabase {
  const faults: DatabaseFaults = { before: () => undefined, after: () => undefined };
  const wrap = (inner: Queryable): Queryable => ({
    async query<Row>(statement: Statement): Promise<Result<Row>> {
      const name = statement.name ?? statement.text;
      await faults.before(name);
      const result = await inner.query<Row>(statement);
      await faults.after(name);
      return result;
    },
  });
  return {
    faults,
    ...wrap(db),
    transaction: (work) => db.transaction((tx) => work(wrap(tx))),
    session: (work) => db.session((session) => work(wrap(session))),
    ping: async () => {
      await faults.before('ping');
      await db.ping();
    },
    listen: async (channel, handler) => {
      await faults.before('listen');
      return db.listen(channel, handler);
    },
    close: async () => undefined,
  };
}
