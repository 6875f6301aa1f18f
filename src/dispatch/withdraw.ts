import { setTimeout } from 'node:timers/promises';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import { withdrawRun, type Recording } from '../ledger/withdraw-run.ts';
import { wakeSubmission, type WakeDeps } from './wake.ts';

export interface WithdrawDeps extends WakeDeps {
  readonly db: Queryable;
  readonly logger: Logger;
}

const ACTOR = 'facteur: its sender was told that it was not recorded';
/** Together shorter than the claim with which a run is recorded: until that runs out nobody submits it. */
const WAITS_MS = [0, 500, 1500, 3000, 6000];

/**
 * Cancels what a recording left, when its sender was told that it had failed and will come again: it must not run beside
 * the next. Also for a recording of which only the answer was lost. Tries for as long as there is hope of being first;
 * never rejects, and keeps no process alive.
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
  deps.logger.warn({ deliveryId, error: problem }, 'it is not known whether this was recorded; if it was, it will run');
}

async function withdraw(recording: Recording, deps: WithdrawDeps): Promise<void> {
  const runId = await withdrawRun(deps.db, recording, ACTOR);
  if (runId !== undefined) {
    deps.logger.warn({ runId }, 'recorded although its sender was told otherwise; the run is canceled');
    wakeSubmission(deps);
  }
}
