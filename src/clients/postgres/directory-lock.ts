import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage } from '../../base/errors.ts';
import { DatabaseError } from './database.ts';

/** SQLite's word for "somebody else has the lock". */
const SQLITE_BUSY = 5;

/**
 * Takes a directory for this process, or says who has it: two embedded engines on one directory lose data silently.
 *
 * The lock is SQLite's on an empty file, because that is the only lock of the operating system that Node can take: it
 * ends with the process that holds it, however that ends, so no stale lock is ever left to be judged by a pid that
 * may belong to somebody else by now. The pid beside it is for the message only.
 *
 * @returns how to give the directory back
 * @throws DatabaseError `postgres.failed` when another process, or this one, has it
 */
export async function lockDirectory(directory: string, pid: number): Promise<() => void> {
  await mkdir(directory, { recursive: true });
  const { DatabaseSync } = await import('node:sqlite');
  const file = new DatabaseSync(join(directory, 'facteur.lock'), { timeout: 0 });
  try {
    file.exec('BEGIN IMMEDIATE');
  } catch (error) {
    file.close();
    throw await refused(directory, error);
  }
  await writeFile(join(directory, 'facteur.pid'), `${pid}\n`);
  return () => file.close();
}

async function refused(directory: string, error: unknown): Promise<DatabaseError> {
  const busy = error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY;
  const why = busy
    ? `${directory} is in use by process ${await holder(directory)}; stop that one first`
    : `${directory} cannot be locked: ${errorMessage(error)}`;
  return new DatabaseError('postgres.failed', why, { retryable: false, cause: error });
}

async function holder(directory: string): Promise<string> {
  try {
    return (await readFile(join(directory, 'facteur.pid'), 'utf8')).trim();
  } catch {
    return '(just starting)';
  }
}
