import { afterEach, beforeEach } from 'vitest';
import { createTestDatabase, type TestDatabase } from './database.ts';

/** A new empty database for each test of a file. */
export function emptyDatabase(): Pick<TestDatabase, 'db' | 'dsn'> {
  let made: TestDatabase;
  beforeEach(async () => {
    made = await createTestDatabase({ migrated: false });
  });
  afterEach(async () => {
    await made.close();
  });
  return {
    get db() {
      return made.db;
    },
    get dsn() {
      return made.dsn;
    },
  };
}
