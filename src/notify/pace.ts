import { isFinished } from '../domain/run-state.ts';
import type { ClaimedMessage } from '../ledger/messages.ts';

/** At most one edit in this time a run (CONTRACT 6), in milliseconds. */
export const MIN_INTERVAL_MS = 2000;
const MINUTE_MS = 60_000;

/**
 * How often mere progress is told, by the age of the message: less and less, and past the hour, when Discord limits
 * edits of a whole channel, hardly ever. Changes of state do not wait for this.
 */
export function progressIntervalMs(ageMs: number): number {
  if (ageMs < MINUTE_MS) {
    return MIN_INTERVAL_MS;
  }
  if (ageMs < 15 * MINUTE_MS) {
    return 5000;
  }
  return ageMs < 60 * MINUTE_MS ? 15_000 : 5 * MINUTE_MS;
}

/** How long Discord honours an interaction's token, less what a request and two clocks may take. */
export const TOKEN_LIFE_MS = 15 * MINUTE_MS - 10_000;
/** When a message that only its token can change is changed for the last time. */
const LAST_WORD_MS = 14 * MINUTE_MS;

/** Milliseconds until that message has to say its last word, or nothing when it has or need not. */
export function lastWordInMs({ ephemeral, run }: ClaimedMessage, ageMs: number): number | undefined {
  return ephemeral && !isFinished(run.state) && ageMs < LAST_WORD_MS ? LAST_WORD_MS - ageMs : undefined;
}

/** Whether what is said now cannot be changed again although the run goes on. */
export function isLastWord({ ephemeral, run }: ClaimedMessage, ageMs: number): boolean {
  return ephemeral && !isFinished(run.state) && ageMs >= LAST_WORD_MS;
}

/** What there is to do about a claimed message: tell it now, look again in some milliseconds, or nothing. */
export function whatIsDue(message: ClaimedMessage, nowMs: number): 'tell' | 'nothing' | { readonly laterMs: number } {
  const { run, toldRevision, toldState, toldAt } = message;
  const ageMs = nowMs - message.createdAt.getTime();
  if (toldRevision === run.revision) {
    // Only the last word is said although nothing has changed, and only once: it is due a minute before the token's end.
    return isLastWord(message, ageMs) && (toldAt?.getTime() ?? 0) < message.createdAt.getTime() + LAST_WORD_MS
      ? 'tell'
      : 'nothing';
  }
  if (toldRevision > 0 && toldState === run.state && toldAt !== undefined) {
    const waitMs = toldAt.getTime() + progressIntervalMs(ageMs) - nowMs;
    return waitMs > 0 ? { laterMs: Math.min(waitMs, progressIntervalMs(ageMs)) } : 'tell';
  }
  return 'tell';
}
