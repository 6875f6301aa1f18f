import { FacteurError } from '../../base/errors.ts';
import { Refusal } from '../../domain/refusal.ts';

/**
 * - `park`: it will never work, dead-letter it
 * - `retry`: it may work, and the try counts
 * - `wait`: nothing about the record is at fault, so the try does not count
 */
type RecordVerdict = 'park' | 'retry' | 'wait';

/**
 * Failures of the environment and not of the record: Postgres is down or broken, facteur is starting or stopping, or the
 * cluster has not said yet which commands its templates make.
 */
const NOT_NOW = new Set(['postgres.unavailable', 'postgres.broken', 'app.unready', 'commands.unread']);

/** Values that Postgres cannot hold, and batches that cannot be read, do not change by trying again. */
const NEVER = new Set(['postgres.invalid', 'kafka.unreadable']);

/**
 * What to do with a record whose handling failed. While Postgres is down or broken every record waits without a
 * limit: no number of
 * attempts may turn an outage into dead letters. `maxAttempts` applies to all other errors.
 *
 * @param attempts counted attempts, including this one
 */
export function verdictOn(error: unknown, attempts: number, maxAttempts: number): RecordVerdict {
  const code = codeOf(error);
  if (NOT_NOW.has(code)) {
    return 'wait';
  }
  return error instanceof Refusal || NEVER.has(code) || attempts >= maxAttempts ? 'park' : 'retry';
}

/** The stable code of an error; `unexpected` for untyped ones. */
export function codeOf(error: unknown): string {
  return error instanceof FacteurError ? error.code : 'unexpected';
}
