import {
  DatabaseError,
  type Database,
  type Queryable,
  type Result,
  type Statement,
} from '../../src/clients/postgres/database.ts';

/** What a test does to the statements on their way. */
export interface DatabaseFaults {
  /** Called before each statement, by its name; what it throws is what the caller gets, and nothing is done. */
  before: (statement: string) => Promise<void> | void;
  /** Called after it: what it throws hides that the statement was carried out. */
  after: (statement: string) => Promise<void> | void;
}

export type FaultyDatabase = Database & { readonly faults: DatabaseFaults };

/** As a server that is gone, or a connection that broke. */
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
 * A view of a database that its users may close without closing the database, and whose statements can be made to fail or wait, before or after they are executed.
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
