import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { errorMessage } from '../../base/errors.ts';
import { makeDirectory } from '../../base/make-directory.ts';
import { DatabaseError } from './database.ts';

/** SQLite's code for a lock that another connection holds. */
const SQLITE_BUSY = 5;

/**
 * Locks a directory for this process, or reports the holder: two embedded engines on one directory silently lose data.
 *
 * The lock is SQLite's on an empty file, because that is the only operating system lock that Node can take. It always ends with
 * its process, so there are no stale locks, which a reused pid would make hard to detect. The pid beside it is only for the
 * message.
 *
 * @returns a function that releases the directory
 * @throws DatabaseError `postgres.failed` if another process, or this one, has the lock, or if the directory cannot be used
 */
export async function lockDirectory(directory: string, pid: number): Promise<() => void> {
  let file: DatabaseSync | undefined;
  try {
    await makeDirectory(directory);
    const sqlite = await import('node:sqlite');
    file = new sqlite.DatabaseSync(join(directory, 'facteur.lock'), { timeout: 0 });
    file.exec('BEGIN IMMEDIATE');
    await writeFile(join(directory, 'facteur.pid'), `${pid}\n`);
  } catch (error) {
    file?.close();
    throw await refused(directory, error);
  }
  const held = file;
  return () => held.close();
}

async function refused(directory: string, error: unknown): Promise<DatabaseError> {
  const busy = error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
  const why = busy
    ? `${directory} is in use by process ${await holder(directory)}; stop it first`
    : `cannot use the directory ${directory} of postgres.dsn: ${errorMessage(error)}`;
  return new DatabaseError('postgres.failed', why, { retryable: false, cause: error });
}

async function holder(directory: string): Promise<string> {
  try {
    return (await readFile(join(directory, 'facteur.pid'), 'utf8')).trim();
  } catch {
    return '(just starting)';
  }
}
