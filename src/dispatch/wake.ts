import type { Announcements } from '../ledger/announcements.ts';
import type { Submitter } from '../submit/submitter.ts';

export interface WakeDeps {
  readonly announcements: Announcements;
  /** Absent where another process submits. */
  readonly submitter: Pick<Submitter, 'nudge'> | undefined;
}

/** Has the ledger looked at, by this process or by all. Resolves when that is announced; nobody has to wait for it. */
export async function wakeSubmission({ announcements, submitter }: WakeDeps): Promise<void> {
  if (submitter === undefined) {
    await announcements.runsDue();
  } else {
    submitter.nudge();
  }
}
