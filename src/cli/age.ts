import { parseDuration } from '../base/duration.ts';

const DAY_MS = 86_400_000;
/** Postgres has no dates before 4713 BC. */
const MAX_AGE_MS = 100_000 * DAY_MS;

/** An age in milliseconds: a Go duration, or days, which operators prefer. Undefined if it is invalid or too long. */
export function parseAge(text: string): number | undefined {
  const [, days] = /^(\d{1,6})d$/.exec(text) ?? [];
  const ms = days === undefined ? parseDuration(text) : Number(days) * DAY_MS;
  return ms === undefined || ms > MAX_AGE_MS ? undefined : ms;
}
