import { MAX_AHEAD } from '../ledger/queue-place.ts';
import type { ClaimedMessage, MessageRun } from '../ledger/messages.ts';
import { inlineCode } from '../presentation/safe-text.ts';
import { QUEUE_WORDS } from '../presentation/words.ts';
import { MIN_INTERVAL_MS, progressIntervalMs } from './pace.ts';

const MAX_REASON = 160;

/** The place of a run in the queue and why it waits there; empty if it does not. */
export function queueLine({ queue }: Pick<MessageRun, 'queue'>, maxActive: number | undefined): string {
  if (queue === null) {
    return '';
  }
  const { ahead, active, heldUp } = queue;
  const where = ahead > MAX_AHEAD ? QUEUE_WORDS.farBehind(MAX_AHEAD) : QUEUE_WORDS.place(ahead + 1);
  return [`${where}.`, ...(maxActive === undefined ? [] : whyOf(active >= maxActive, maxActive, heldUp))].join(' ');
}

/** Only under a limit does a run that is held up keep its place, so that others wait for it. */
function whyOf(isFull: boolean, maxActive: number, heldUp: string): readonly string[] {
  if (isFull) {
    return [QUEUE_WORDS.limit(maxActive)];
  }
  return heldUp === '' ? [] : [QUEUE_WORDS.heldUp(inlineCode(heldUp, MAX_REASON))];
}

/** Whether only the place of the run is different now. One that has just left the queue has other news soon. */
export function hasMoved({ toldQueue, toldRevision, revision }: ClaimedMessage, line: string): boolean {
  return toldRevision === revision && line !== '' && line !== toldQueue;
}

/** A place changes as often as runs end: the farther back, the less it matters. */
const PER_RUN_AHEAD_MS = 10_000;
const SOONEST_MS = 15_000;
const LATEST_MS = 5 * 60_000;

/** Milliseconds until the place of a run in the queue is looked at again; undefined if it has none. */
export function queueLookMs({ inLine, queue }: ClaimedMessage, ageMs: number): number | undefined {
  if (!inLine) {
    return undefined;
  }
  return queue === null
    ? MIN_INTERVAL_MS
    : Math.max(progressIntervalMs(ageMs), Math.min(LATEST_MS, Math.max(SOONEST_MS, queue.ahead * PER_RUN_AHEAD_MS)));
}
