import { FacteurError } from '../base/errors.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import type { RunReceipt } from '../domain/run.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { DeadLetter } from '../ledger/dead-letters.ts';
import { checkCodexDelivery } from './check-codex-delivery.ts';
import { decodeCodexDelivery } from './decode/codex-task.ts';
import { decodeCommand } from './decode/command.ts';

/** What replaying goes through. */
export interface ReplayDoors {
  readonly dispatch: Pick<Dispatch, 'command' | 'codexTask'>;
  readonly codexEnabled: boolean;
}

/**
 * Sends a dead letter through the door's own path again: decoded, authorised, planned and recorded as if it came in now.
 * A letter without an id of its own gets one made of the letter's, so that replaying it twice is one run.
 *
 * @throws Refusal when it is refused again, FacteurError `dead_letter.refused_run` when its run exists and was refused
 */
export async function replayDeadLetter(letter: DeadLetter, doors: ReplayDoors): Promise<RunReceipt> {
  const receipt = await sendAgain(letter, doors);
  if (receipt.state === 'refused') {
    const message = `run ${receipt.runId} exists and was refused (${receipt.reason}): use runs retry once that is mended`;
    throw new FacteurError('dead_letter.refused_run', message, { retryable: false });
  }
  return receipt;
}

async function sendAgain(letter: DeadLetter, { dispatch, codexEnabled }: ReplayDoors): Promise<RunReceipt> {
  const incoming = { headers: letter.headers, body: letter.body };
  const door = letter.door === 'kafka' ? 'kafka' : 'http';
  if (letter.headers[':path'] === '/codex/tasks') {
    const delivery = decodeCodexDelivery(incoming, door);
    checkCodexDelivery(delivery, codexEnabled);
    return dispatch.codexTask(delivery, { awaitSubmissionMs: 0 });
  }
  const command = decodeCommand(incoming, { door, freshId: () => idOf(letter) });
  return dispatch.command(command, { awaitSubmissionMs: 0 });
}

function idOf(letter: DeadLetter): string {
  return letter.deliveryId === ''
    ? `dead-letter:${deliveryLabel(`${letter.id} ${letter.createdAt.toISOString()}`)}`
    : letter.deliveryId;
}
