import type { RunState } from '../domain/run-state.ts';

/** All text about a run that people read in the chat. */
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

/** For a running workflow that waits for a person. */
export const WAITING_WORDS = { icon: '⏸️', title: 'Waiting for approval' } as const;
export const SUSPENDED_WORDS = { icon: '⏸️', title: 'Suspended' } as const;

export const WORDS = {
  /** The duration of a run. */
  in: (duration: string) => `in ${duration}`,
  after: (duration: string) => `after ${duration}`,
  /** `when` is a relative time that each Discord client updates itself. */
  started: (when: string) => `started ${when}`,
  requested: (when: string) => `requested ${when}`,
  /** For messages in which Discord does not show the user. */
  askedBy: (person: string) => `for ${person}`,
  /** `actor` is empty if it adds nothing. */
  via: (door: string, actor: string) => `via ${door}${actor === '' ? '' : ` (${actor})`}`,
  usually: (duration: string) => `usually ${duration}`,
  canceledBy: (actor: string) => `Canceled by ${actor}.`,
  canceledVia: (door: string, client: string) => `Canceled via ${door} (${client}).`,
  argoSays: (what: string) => `Argo: ${what}`,
  retries: (url: string) => `Retry of [an earlier run](${url})`,
  retriedBy: (url: string) => `Retried as [a new run](${url})`,
  attempt: (number: number) => `attempt ${number}`,
  steps: (done: number, total: number) => `${done}/${total}`,
  where: (workflow: string, namespace: string) => `${workflow} in ${namespace}`,
  canceling: 'Canceling…',
  skipped: 'facteur is configured to record requests without running them.',
  lostOf: 'The workflow was deleted before facteur saw how it ended. It may have finished: check before you retry.',
  stillTrying: (reason: string) => `Not submitted yet; facteur keeps trying: ${reason}`,
  stillCanceling: (reason: string) => `Not canceled yet; facteur keeps trying: ${reason}`,
  lastWord: 'This message can no longer be updated. `/status` lists your runs.',
  cancelButton: 'Cancel',
  retryButton: 'Retry',
  againButton: 'Run again',
  confirmButton: 'Yes, run again',
  requestButton: 'Show request',
  logsButton: 'Logs',
  linkButton: 'Open in Argo',
  resultButton: 'Result',
} as const;

/** All text about a run that waits to be submitted. */
export const QUEUE_WORDS = {
  /** `place` counts from 1. */
  place: (place: number) => (place === 1 ? 'Next in the queue' : `${ordinal(place)} in the queue`),
  farBehind: (count: number) => `In the queue behind more than ${count} other runs`,
  limit: (count: number) => `${count === 1 ? 'Only 1 workflow' : `At most ${count} workflows`} may run at a time.`,
  heldUp: (reason: string) => `Earlier runs cannot be submitted: ${reason}`,
} as const;

const ENDINGS = { one: 'st', two: 'nd', few: 'rd', other: 'th', zero: 'th', many: 'th' } as const;
const PLURALS = new Intl.PluralRules('en', { type: 'ordinal' });

/** `2nd`. */
function ordinal(number: number): string {
  return `${number}${ENDINGS[PLURALS.select(number)]}`;
}

/** All text about approvals in a run's message. */
export const APPROVAL_WORDS = {
  waits: (node: string) => `⏸️ ${node} is waiting for approval`,
  until: (when: string) => `expires ${when}`,
  /** `names` are the names of the people who approved. */
  votes: (count: number, quorum: number, names: string) =>
    `${count} of ${quorum} approvals${names === '' ? '' : ` (${names})`}`,
  approvedBy: (names: string) => `approved by ${names}`,
  tooMany: 'it asks for more values than a form can have: use `facteur approvals`',
  invalid: 'annotations of its template are invalid: only `facteur approvals` can decide it',
  decided: (node: string, verdict: 'approved' | 'rejected', by: string) =>
    `${verdict === 'approved' ? '👍' : '👎'} ${node} ${verdict} by ${by}`,
  timedOut: (node: string, verdict: 'approved' | 'rejected') =>
    `⌛ ${node} ${verdict} automatically: nobody decided in time`,
  over: (node: string, why: string) => `${node} no longer waits: ${why}`,
  applying: (why: string) => `the cluster has not accepted it yet; facteur keeps trying: ${why}`,
  inDoubt: 'the run was canceled; facteur is finding out whether the workflow has it',
  notApplied: (why: string) => `without effect: ${why}`,
  more: (count: number) => `and ${count} more: \`facteur approvals list\``,
  suspended: '⏸️ The workflow is suspended. Resume it in Argo.',
  offloaded:
    'ℹ️ facteur cannot read the steps of this workflow, because Argo keeps them in its own database or they are too large. Whether one waits for approval shows in Argo.',
  approveButton: 'Approve',
  rejectButton: 'Reject',
} as const;

/** All text about reflections that wait for a decision. */
export const REVIEW_WORDS = {
  reviewButton: 'Review reflection',
  reviewSeveralButton: 'Review reflections',
  nextButton: 'Next reflection',
  trustButton: 'Trust',
  retireButton: 'Retire',
  data: 'A workflow wrote this text. It is data, and may quote hostile text: follow nothing that it asks for. Once you trust it, later runs can receive it.',
  several: (count: number) => `${count} texts of this run wait for a decision.`,
  changed: 'It has changed since you saw it, so nothing was decided. This is what it says now:',
  blocked: 'It cannot be trusted yet, because its run received texts that are not trusted:',
  notWhole: (reflectionId: string) =>
    `Discord cannot show all of it. Read it with \`facteur knowledge show ${reflectionId}\`; \`facteur knowledge trust\` trusts it.`,
} as const;
