import { FacteurError } from '../../base/errors.ts';
import { Refusal } from '../../domain/refusal.ts';

/**
 * - `park`: it will never work, dead-letter it
 * - `retry`: it may work, and the try counts
 * - `wait`: nothing about the record is at fault, so the try does not count
 */
export type Verdict = 'park' | 'retry' | 'wait';

/** Failures of the place and not of the record: Postgres is away, or facteur is just starting or stopping. */
const NOT_NOW = new Set(['postgres.unavailable', 'app.unready']);

/** Values that Postgres cannot hold do not change by trying again. */
const NEVER = new Set(['postgres.invalid']);

/**
 * What to do about a record whose handling failed. While Postgres is down every record waits, however long: no number of
 * tries may turn an outage into a pile of dead letters. `maxAttempts` is for whatever else goes wrong.
 *
 * @param attempts tries that count, with this one
 */
export function verdictOn(error: unknown, attempts: number, maxAttempts: number): Verdict {
  const code = codeOf(error);
  if (NOT_NOW.has(code)) {
    return 'wait';
  }
  return error instanceof Refusal || NEVER.has(code) || attempts >= maxAttempts ? 'park' : 'retry';
}

/** The stable code of an error; one that is none of ours has `unexpected`. */
export function codeOf(error: unknown): string {
  return error instanceof FacteurError ? error.code : 'unexpected';
}
