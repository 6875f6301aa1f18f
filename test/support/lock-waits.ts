import { expect, vi } from 'vitest';
import type { Database } from '../../src/clients/postgres/database.ts';

/** Resolves when one statement waits for a lock of somebody else. Not for a transaction, which sees its first answer again. */
export async function lockWait(db: Database): Promise<void> {
  const text = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  await vi.waitFor(async () => expect((await db.query({ text })).rowCount).toBe(1));
}
