import type { ApprovalField, ApprovalRules, Verdict } from './approval-rules.ts';
import type { RunState } from './run-state.ts';

/** Something that a workflow waits for, as the cluster shows it. */
export interface Waiting {
  /** Identifies it within its run: a node that waits a second time is another one. */
  readonly key: string;
  /**
   * node       a suspend node, which people decide
   * suspended  the whole workflow is suspended
   * offloaded  Argo keeps the nodes in its own database, or they are too large to read: nobody knows from here whether one waits
   */
  readonly kind: 'node' | 'suspended' | 'offloaded';
  readonly nodeId: string;
  /** Its display name. */
  readonly node: string;
  readonly template: string;
  /** As the cluster writes it. */
  readonly startedAt: string;
  /** It belongs to an exit handler, which a stop lets run. */
  readonly onExit: boolean;
  readonly fields: readonly ApprovalField[];
  readonly rules: StoredRules;
}

export type StoredRules = ApprovalRules & {
  /** The outputs with which it is decided when it expires. */
  readonly timeoutOutputs: Readonly<Record<string, string>>;
};

/**
 * waiting   for people
 * deciding  decided; not in the workflow yet
 * gone      it no longer waits, and not because of a decision made here
 */
export const APPROVAL_STATES = ['waiting', 'deciding', 'approved', 'rejected', 'gone'] as const;

export type ApprovalState = (typeof APPROVAL_STATES)[number];

/** Why nothing waits in a run that is being canceled. Of a decision under way: whether its workflow has it is not known yet. */
export const CANCELED = 'the run was canceled';

/** Argo resumed the step itself. */
export const ELAPSED = 'its duration in Argo has elapsed';

/** Argo resumed the step itself, or somebody did: its duration is an expression. */
export const PERHAPS_ELAPSED = 'it was decided elsewhere, or its duration in Argo has elapsed';

/** Who decided an approval that expired. */
export const TIMEOUT_ACTOR = 'facteur (timeout)';

/** An approval with what its run says. */
export interface Approval extends Omit<Waiting, 'nodeId' | 'startedAt' | 'onExit'> {
  readonly runId: string;
  readonly state: ApprovalState;
  readonly requestedAt: Date;
  readonly expiresAt: Date | null;
  /** Who approved so far: names and times by id. */
  readonly votes: Readonly<Record<string, { readonly name: string; readonly at: string }>>;
  readonly verdict: Verdict | null;
  /** Empty until it is decided. */
  readonly decidedBy: string;
  readonly decidedAt: Date | null;
  readonly reason: string;
  readonly outputs: Readonly<Record<string, string>>;
  /** Why a decision is not in the workflow yet, or why nothing was decided here; else empty. */
  readonly problem: string;
  readonly command: string;
  readonly runState: RunState;
  readonly namespace: string;
  readonly workflowName: string;
  readonly workflowUid: string;
}

/** Why something no longer waits that nobody has decided here. A workflow that succeeded went on: somebody has decided. */
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

/** The names of who approved, in their order. */
export function voters(votes: Approval['votes']): readonly string[] {
  return Object.values(votes)
    .toSorted((one, other) => Date.parse(one.at) - Date.parse(other.at))
    .map(({ name }) => name);
}

/** The names of who decided: everybody who approved, or who rejected. */
export function deciders({
  verdict,
  decidedBy,
  votes,
}: Pick<Approval, 'verdict' | 'decidedBy' | 'votes'>): readonly string[] {
  const names = verdict === 'approved' && decidedBy !== TIMEOUT_ACTOR ? voters(votes) : [];
  return names.length > 0 ? names : [decidedBy];
}
