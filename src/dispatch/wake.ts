import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import { wakeSubmitters } from '../ledger/submission-queue.ts';
import type { Submitter } from '../submit/submitter.ts';

export interface WakeDeps {
  readonly db: Queryable;
  readonly logger: Logger;
  /** Absent where another process submits. */
  readonly submitter: Pick<Submitter, 'nudge'> | undefined;
}

/** Has the ledger looked at. It is durable what is to be done: when nobody can be woken, the submitters' own polling finds it. */
export async function wakeSubmission({ db, logger, submitter }: WakeDeps): Promise<void> {
  if (submitter !== undefined) {
    submitter.nudge();
    return;
  }
  try {
    await wakeSubmitters(db);
  } catch (error) {
    logger.warn({ error: errorMessage(error) }, 'the submitters could not be woken');
  }
}
