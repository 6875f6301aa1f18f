import { expect, vi } from 'vitest';
import type { Database, Queryable } from '../../src/clients/postgres/database.ts';

/** Resolves when one statement waits for a lock. Do not use it in a transaction, which always sees the first result. */
export async function lockWait(db: Database): Promise<void> {
  const text = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  await vi.waitFor(async () => expect((await db.query({ text })).rowCount).toBe(1));
}

/** Runs `meanwhile`, which has to wait for the uncommitted changes of `work`. @returns the result of `meanwhile` */
export async function whileUncommitted<T>(
  db: Database,
  work: (tx: Queryable) => Promise<unknown>,
  meanwhile: () => Promise<T>,
): Promise<T> {
  const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
  const { promise: isDone, resolve: done } = Promise.withResolvers<void>();
  const working = db.transaction(async (tx) => {
    await work(tx);
    done();
    await mayCommit;
  });
  await isDone;
  const result = meanwhile();
  await lockWait(db);
  commit();
  await working;
  return result;
}
