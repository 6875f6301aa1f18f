import type { Announcements } from '../ledger/announcements.ts';
import type { Submitter } from '../submit/submitter.ts';

export interface WakeDeps {
  readonly announcements: Announcements;
  /** Absent where another process submits. */
  readonly submitter: Pick<Submitter, 'nudge'> | undefined;
}

/** Has the ledger looked at: here at once, and by all who have a place free where this process may have none. */
export function wakeSubmission({ announcements, submitter }: WakeDeps): void {
  submitter?.nudge();
  void announcements.runsDue();
}
