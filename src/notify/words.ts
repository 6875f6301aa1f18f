import type { RunState } from '../domain/run-state.ts';

/** Every word that people read in the chat about a run stands in this file. */
export const STATE_WORDS: Readonly<Record<RunState, { readonly icon: string; readonly title: string }>> = {
  queued: { icon: '🕓', title: 'Queued' },
  submitted: { icon: '📨', title: 'Submitted' },
  running: { icon: '▶️', title: 'Running' },
  succeeded: { icon: '✅', title: 'Succeeded' },
  failed: { icon: '❌', title: 'Failed' },
  error: { icon: '⚠️', title: 'Error' },
  canceled: { icon: '⏹️', title: 'Canceled' },
  refused: { icon: '🚫', title: 'Refused' },
  skipped: { icon: '💤', title: 'Recorded, not run' },
  lost: { icon: '❔', title: 'Lost' },
};

export const WORDS = {
  /** How long something took. */
  in: (duration: string) => `in ${duration}`,
  after: (duration: string) => `after ${duration}`,
  /** `when` counts up in everybody's own client. */
  started: (when: string) => `started ${when}`,
  waitingSince: (when: string) => `since ${when}`,
  /** Where the person is not shown by Discord itself. */
  askedBy: (person: string) => `for ${person}`,
  attempt: (number: number) => `attempt ${number}`,
  steps: (done: number, total: number) => `${done}/${total}`,
  where: (workflow: string, namespace: string) => `${workflow} in ${namespace}`,
  canceling: 'Canceling …',
  skipped: 'The dispatcher is switched off, so nothing was submitted.',
  lostOf: 'The workflow vanished before its end was seen.',
  stillTrying: 'The cluster does not take it yet; facteur keeps trying.',
  lastWord: 'This message can be changed no longer. `/status` tells how it went on.',
  cancelButton: 'Cancel',
  retryButton: 'Retry',
  logsButton: 'Logs',
  linkButton: 'Open in Argo',
} as const;
