import type { ApprovalField, ApprovalRules, Verdict } from './approval-rules.ts';
import type { RunState } from './run-state.ts';

/** Something that a workflow waits for, as seen in the cluster. */
export interface Waiting {
  /** Unique within the run: a node that waits a second time gets a new key. */
  readonly key: string;
  /**
   * node       a suspend node, which people decide
   * suspended  the whole workflow is suspended
   * offloaded  Argo keeps the nodes in its own database, or they are too large to read: it is unknown whether one waits
   */
  readonly kind: 'node' | 'suspended' | 'offloaded';
  readonly nodeId: string;
  /** Its display name. */
  readonly node: string;
  readonly template: string;
  /** As written by the cluster. */
  readonly startedAt: string;
  /** It belongs to an exit handler, which still runs after a stop. */
  readonly onExit: boolean;
  readonly fields: readonly ApprovalField[];
  readonly rules: StoredRules;
}

export type StoredRules = ApprovalRules & {
  /** The outputs of the decision that is made when the approval expires. */
  readonly timeoutOutputs: Readonly<Record<string, string>>;
};

/**
 * waiting   waits for people
 * deciding  decided, but not in the workflow yet
 * gone      no longer waits, and not because of a decision made here
 */
export const APPROVAL_STATES = ['waiting', 'deciding', 'approved', 'rejected', 'gone'] as const;

export type ApprovalState = (typeof APPROVAL_STATES)[number];

/**
 * Why nothing waits in a run that is being canceled. For a decision in progress: it is not known yet whether it is in the
 * workflow.
 */
export const CANCELED = 'the run was canceled';

/** Argo resumed the step itself. */
export const ELAPSED = 'its duration in Argo has elapsed';

/** Argo resumed the step itself, or a person did: its duration is an expression. */
export const PERHAPS_ELAPSED = 'it was decided elsewhere, or its duration in Argo has elapsed';

/** The actor of a decision that was made when the approval expired. */
export const TIMEOUT_ACTOR = 'facteur (timeout)';

/** An approval with information about its run. */
export interface Approval extends Omit<Waiting, 'nodeId' | 'startedAt' | 'onExit'> {
  readonly runId: string;
  readonly state: ApprovalState;
  readonly requestedAt: Date;
  readonly expiresAt: Date | null;
  /** Names and times of the approvals so far, by user id. */
  readonly votes: Readonly<Record<string, { readonly name: string; readonly at: string }>>;
  readonly verdict: Verdict | null;
  /** Empty until it is decided. */
  readonly decidedBy: string;
  readonly decidedAt: Date | null;
  readonly reason: string;
  readonly outputs: Readonly<Record<string, string>>;
  /** Why a decision is not in the workflow yet, or why nothing was decided here; otherwise empty. */
  readonly problem: string;
  readonly command: string;
  readonly runState: RunState;
  readonly namespace: string;
  readonly workflowName: string;
  readonly workflowUid: string;
}

/**
 * Whether a shutdown ends a step that waits: a termination ends all, a stop all but exit handlers. If a stopped workflow
 * succeeded, its steps had been decided before the stop.
 */
export function endsWaiting(
  shutdown: string,
  { onExit, isLive }: { readonly onExit: boolean; readonly isLive: boolean },
): boolean {
  return shutdown !== '' && (shutdown !== 'Stop' || (isLive && !onExit));
}

/**
 * Why something that was not decided here no longer waits. If the workflow succeeded and no shutdown ended the step, somebody
 * decided elsewhere.
 */
export function whyOver({
  hasFailed,
  isStopping,
  isUnseen,
}: {
  readonly hasFailed: boolean;
  readonly isStopping: boolean;
  readonly isUnseen: boolean;
}): string {
  if (hasFailed) {
    return 'the workflow has ended';
  }
  if (isUnseen) {
    return 'facteur can no longer read the steps of this workflow; decide it in Argo';
  }
  return isStopping ? 'the workflow is ending' : 'it was decided elsewhere';
}

/** The names of the people who approved, in the order of their votes. */
export function voters(votes: Approval['votes']): readonly string[] {
  return Object.values(votes)
    .toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at))
    .map(({ name }) => name);
}

/** The names of the people who decided: all who approved, or the one who rejected. */
export function deciders({
  verdict,
  decidedBy,
  votes,
}: Pick<Approval, 'verdict' | 'decidedBy' | 'votes'>): readonly string[] {
  const names = verdict === 'approved' && decidedBy !== TIMEOUT_ACTOR ? voters(votes) : [];
  return names.length > 0 ? names : [decidedBy];
}
