import { FacteurError } from '../base/errors.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import type { RunReceipt } from '../domain/run.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import { findDeadLetter, settleDeadLetter, type DeadLetter } from '../ledger/unprocessed.ts';
import { Refusal } from '../domain/refusal.ts';
import { checkCodexDelivery } from './check-codex-delivery.ts';
import { decodeCodexDelivery } from './decode/codex-task.ts';
import { decodeCommand } from './decode/command.ts';

/** Dependencies of a replay. */
interface ReplayDoors {
  readonly dispatch: Pick<Dispatch, 'command' | 'codexTask'>;
  readonly codexEnabled: boolean;
  /** The requester, for the run's history, if it is not the door itself. */
  readonly actor?: string;
}

/**
 * Replays a dead letter and settles it.
 *
 * @throws whatever {@link replayDeadLetter} throws, and then the letter stays; FacteurError `dead_letter.unknown`,
 * `dead_letter.settled`
 */
export async function replayAndSettle(db: Queryable, id: string, doors: ReplayDoors): Promise<RunReceipt> {
  const letter = requireOpen(await requireDeadLetter(db, id));
  const receipt = await replayDeadLetter(letter, doors);
  await settleDeadLetter(db, letter.id, { outcome: 'replayed', runId: receipt.runId });
  return receipt;
}

/**
 * Drops a dead letter.
 *
 * @returns false when it was dropped before
 * @throws FacteurError `dead_letter.unknown`, `dead_letter.settled` when it was replayed
 */
export async function dropDeadLetter(db: Queryable, id: string): Promise<boolean> {
  if (await settleDeadLetter(db, id, { outcome: 'dropped' })) {
    return true;
  }
  const letter = await requireDeadLetter(db, id);
  if (letter.outcome !== 'dropped') {
    throw settled(letter);
  }
  return false;
}

/** @throws FacteurError `dead_letter.unknown` */
export async function requireDeadLetter(db: Queryable, id: string): Promise<DeadLetter> {
  const letter = await findDeadLetter(db, id);
  if (letter === undefined) {
    throw new FacteurError('dead_letter.unknown', `unknown dead letter ${id}`, { retryable: false });
  }
  return letter;
}

function requireOpen(letter: DeadLetter): DeadLetter {
  if (letter.outcome !== '') {
    throw settled(letter);
  }
  return letter;
}

/** It was already settled. */
export function settled({ id, outcome }: Pick<DeadLetter, 'id' | 'outcome'>): FacteurError {
  return new FacteurError('dead_letter.settled', `dead letter ${id} was already ${outcome}`, { retryable: false });
}

/**
 * Sends a dead letter through the door's own path again: decoded, authorized, planned and recorded as if it arrived
 * now.
 * A letter without an id gets one derived from the letter's, so replaying it twice makes one run.
 *
 * @throws Refusal if it is refused again, FacteurError `dead_letter.refused_run` if its run exists and was refused
 */
async function replayDeadLetter(letter: DeadLetter, doors: ReplayDoors): Promise<RunReceipt> {
  const receipt = await sendAgain(letter, doors);
  if (receipt.state === 'refused') {
    const message = `run ${receipt.runId} exists and was refused (${receipt.reason}): fix the cause, then use runs retry`;
    throw new FacteurError('dead_letter.refused_run', message, { retryable: false });
  }
  return receipt;
}

async function sendAgain(letter: DeadLetter, { dispatch, codexEnabled, actor }: ReplayDoors): Promise<RunReceipt> {
  if (letter.headers[':cut'] !== undefined) {
    throw new Refusal('body_too_large', `only its first ${letter.headers[':cut']} bytes were kept`);
  }
  const incoming = { headers: letter.headers, body: letter.body };
  const door = letter.door === 'kafka' ? 'kafka' : 'http';
  const sender = actor === undefined ? {} : { actor };
  if (letter.headers[':path'] === '/codex/tasks') {
    const delivery = decodeCodexDelivery(incoming, door);
    checkCodexDelivery(delivery, codexEnabled);
    return dispatch.codexTask({ ...delivery, ...sender }, { awaitSubmissionMs: 0 });
  }
  const command = decodeCommand(incoming, { door, freshId: () => idOf(letter) });
  return dispatch.command({ ...command, ...sender }, { awaitSubmissionMs: 0 });
}

function idOf(letter: DeadLetter): string {
  return letter.deliveryId === ''
    ? `dead-letter:${deliveryLabel(`${letter.id} ${letter.createdAt.toISOString()}`)}`
    : letter.deliveryId;
}
