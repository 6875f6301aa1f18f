import { setTimeout } from 'node:timers/promises';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import { withdrawRun, type Recording } from '../ledger/cancel-and-retry.ts';
import type { Announcements } from '../ledger/due-work.ts';

interface WithdrawDeps {
  readonly wakes: Pick<Announcements, 'runsDue'>;
  readonly db: Queryable;
  readonly logger: Logger;
}

const ACTOR = 'facteur: its sender was told that it was not recorded';
/** In total shorter than the claim with which a run is recorded: until that expires, nothing submits the run. */
const WAITS_MS = [0, 500, 1500, 3000, 6000];

/**
 * Cancels a recording whose sender was told that it failed and will retry: it must not run in addition to the retry. This
 * includes a recording of which only the response was lost. Retries while the withdrawal can still come first; never rejects, and
 * does not keep the process alive.
 */
export async function withdrawInTime(recording: Recording, deps: WithdrawDeps): Promise<void> {
  let problem = '';
  for (const waitMs of WAITS_MS) {
    await setTimeout(waitMs, undefined, { ref: false });
    try {
      await withdraw(recording, deps);
      return;
    } catch (error) {
      problem = errorMessage(error);
    }
  }
  const { deliveryId } = recording;
  deps.logger.warn({ deliveryId, error: problem }, 'unknown whether this was recorded; if so, it will run');
}

async function withdraw(recording: Recording, deps: WithdrawDeps): Promise<void> {
  const runId = await withdrawRun(deps.db, recording, ACTOR);
  if (runId !== undefined) {
    deps.logger.warn({ runId }, 'recorded although its sender was told otherwise; canceling the run');
    void deps.wakes.runsDue();
  }
}
