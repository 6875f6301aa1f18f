import { test as plain } from 'vitest';
import { createTestDatabase } from './database.ts';
import { emptyLedger } from './ledger.ts';

/**
 * Shared by all tests of a process, because an embedded database takes a second to start; its DSN is for a second
 * connection to a real server.
 */
export const database = await createTestDatabase();
/** The database of the tests made with this `test`: with all migrations, and empty when each of them begins. */
export const { db } = database;

/** A test that begins with an empty ledger. */
export const test = plain
  .extend('closed', { scope: 'worker', auto: true }, ({}, { onCleanup }) => onCleanup(() => database.close()))
  .extend('emptied', { auto: true }, () => emptyLedger(db));
