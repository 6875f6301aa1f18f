import { FacteurError } from '../../base/errors.ts';
import { Refusal } from '../../domain/refusal.ts';

/**
 * - `park`: it can never work, so dead-letter it
 * - `retry`: it may work, and the attempt counts
 * - `wait`: the record is not at fault, so the attempt does not count
 */
type RecordVerdict = 'park' | 'retry' | 'wait';

/**
 * Failures of the environment, not of the record: Postgres is down or broken, facteur is starting or stopping, or the cluster has
 * not yet reported the commands of its templates.
 */
const NOT_NOW = new Set(['postgres.unavailable', 'postgres.broken', 'app.unready', 'commands.unread']);

/** Values that Postgres cannot store, and batches that cannot be read, stay that way after a retry. */
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
