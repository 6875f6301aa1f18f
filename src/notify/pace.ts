import { isFinished } from '../domain/run-state.ts';
import { SNOWFLAKE, snowflakeTime } from '../domain/snowflake.ts';
import type { ClaimedMessage } from '../ledger/messages.ts';
import { shownState } from './render-approvals.ts';

/** Minimum time between two edits of a run's message (CONTRACT 6), in milliseconds. */
export const MIN_INTERVAL_MS = 2000;
const MINUTE_MS = 60_000;

/**
 * How often progress is updated, by the age of the message: less often as it ages, and rarely after an hour, when Discord limits
 * edits for the whole channel. State changes do not wait for this.
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

/** How long Discord accepts an interaction's token, minus a margin for the request and for clock skew. */
export const TOKEN_LIFE_MS = 15 * MINUTE_MS - 10_000;
/** The age at which a message that only its token can edit gets its last update. */
const LAST_WORD_MS = 14 * MINUTE_MS;

/**
 * The age of the interaction's token. It is older than the message if an event waited in Kafka, or if a retry made elsewhere
 * shares the interaction of a private run. It is as old as the message if the id is not a Discord id.
 *
 * @param ageMs age of the message
 */
export function tokenAgeMs(
  { interactionId, createdAt }: Pick<ClaimedMessage, 'interactionId' | 'createdAt'>,
  ageMs: number,
): number {
  const leadMs = SNOWFLAKE.test(interactionId) ? createdAt.getTime() - snowflakeTime(interactionId) : 0;
  return leadMs > 0 && leadMs < TOKEN_LIFE_MS ? ageMs + leadMs : ageMs;
}

/** Milliseconds until an ephemeral message needs its last update, or undefined if it had one or needs none. */
export function lastWordInMs(message: ClaimedMessage, ageMs: number): number | undefined {
  const leftMs = LAST_WORD_MS - tokenAgeMs(message, ageMs);
  return message.ephemeral && !isFinished(message.state) && leftMs > 0 ? leftMs : undefined;
}

/** Whether this update is the last possible one although the run continues. */
export function isLastWord(message: ClaimedMessage, ageMs: number): boolean {
  const { ephemeral, state } = message;
  return ephemeral && !isFinished(state) && tokenAgeMs(message, ageMs) >= LAST_WORD_MS;
}

/** What to do with a claimed message: send it now, look again in some milliseconds, or nothing. */
export function whatIsDue(message: ClaimedMessage, nowMs: number): 'tell' | 'nothing' | { readonly laterMs: number } {
  const { revision, toldRevision, toldAt, quiet } = message;
  const ageMs = nowMs - message.createdAt.getTime();
  if (toldRevision === revision) {
    return needsLastWord(message, ageMs) ? 'tell' : 'nothing';
  }
  if (quiet && isProgress(message)) {
    return isLastWord(message, ageMs) ? 'tell' : 'nothing';
  }
  if (showsState(message) && toldAt !== null) {
    const waitMs = toldAt.getTime() + progressIntervalMs(ageMs) - nowMs;
    return waitMs > 0 ? { laterMs: Math.min(waitMs, progressIntervalMs(ageMs)) } : 'tell';
  }
  return 'tell';
}

/** Only the last update is sent without a change, and only once: it is due a minute before the token expires. */
function needsLastWord(message: ClaimedMessage, ageMs: number): boolean {
  const { toldAt, createdAt } = message;
  const toldAtAgeMs = (toldAt?.getTime() ?? 0) - createdAt.getTime();
  return isLastWord(message, ageMs) && !isLastWord(message, toldAtAgeMs);
}

/** Whether the message shows the current state, if not its details. */
function showsState(message: ClaimedMessage): boolean {
  return message.toldRevision > 0 && message.toldState === shownState(message);
}

function isProgress(message: ClaimedMessage): boolean {
  return showsState(message) && !isFinished(message.state);
}
