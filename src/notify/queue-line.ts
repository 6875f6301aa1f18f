import { MAX_AHEAD } from '../ledger/queue-place.ts';
import type { ClaimedMessage, MessageRun } from '../ledger/messages.ts';
import { inlineCode } from '../presentation/safe-text.ts';
import { QUEUE_WORDS } from '../presentation/words.ts';
import { MIN_INTERVAL_MS, progressIntervalMs } from './pace.ts';

const MAX_REASON = 160;

/** The position of a run in the queue and why it waits; empty if it is not queued. */
export function queueLine({ queue }: Pick<MessageRun, 'queue'>, maxActive: number | undefined): string {
  if (queue === null) {
    return '';
  }
  const { ahead, active, heldUp } = queue;
  const where = ahead > MAX_AHEAD ? QUEUE_WORDS.farBehind(MAX_AHEAD) : QUEUE_WORDS.place(ahead + 1);
  return [`${where}.`, ...(maxActive === undefined ? [] : whyOf(active >= maxActive, maxActive, heldUp))].join(' ');
}

/** A run that is held up keeps its position, and so makes others wait, only if there is a limit. */
function whyOf(isFull: boolean, maxActive: number, heldUp: string): readonly string[] {
  if (isFull) {
    return [QUEUE_WORDS.limit(maxActive)];
  }
  return heldUp === '' ? [] : [QUEUE_WORDS.heldUp(inlineCode(heldUp, MAX_REASON))];
}

/** Whether only the position of the run has changed. A run that has just left the queue will soon have another update. */
export function hasMoved({ toldQueue, toldRevision, revision }: ClaimedMessage, line: string): boolean {
  return toldRevision === revision && line !== '' && line !== toldQueue;
}

/** A position changes whenever a run ends: the farther back, the less it matters. */
const PER_RUN_AHEAD_MS = 10_000;
const SOONEST_MS = 15_000;
const LATEST_MS = 5 * 60_000;

/** Milliseconds until the position of a run in the queue is checked again; undefined if it has none. */
export function queueLookMs({ inLine, queue }: ClaimedMessage, ageMs: number): number | undefined {
  if (!inLine) {
    return undefined;
  }
  return queue === null
    ? MIN_INTERVAL_MS
    : Math.max(progressIntervalMs(ageMs), Math.min(LATEST_MS, Math.max(SOONEST_MS, queue.ahead * PER_RUN_AHEAD_MS)));
}
