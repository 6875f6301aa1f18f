import type { Logger } from '../base/logger.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { LeaseAnswer, LeaseRequest } from '../ledger/leases.ts';
import type { Observed } from '../ledger/observe-workflows.ts';

/** External dependencies of the follower. */
export interface FollowDeps {
  readonly db: Database;
  readonly workflows: Pick<ArgoClient, 'listWorkflows' | 'watchWorkflows' | 'getWorkflow'>;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** The label of a command in metrics. */
  readonly labelOf: (command: string) => string;
  /** Called with the runs that changed, to wake the notifier. Must not throw. */
  readonly onChanged?: (changes: readonly Observed[]) => void;
  /** Called with runs that have begun or stopped waiting for people. Must not throw. */
  readonly onWaiting?: (changes: readonly { readonly messageChanged: boolean }[]) => void;
  /** Replaces the ledger's lease request, for callers that ask for more in the same statement. */
  readonly claimLease?: (request: LeaseRequest) => Promise<Pick<LeaseAnswer, 'held' | 'expiresInMs'>>;
  readonly timings?: Partial<FollowTimings>;
}

/** The signals that end following. */
export interface FollowSignals {
  /** Ends the watches. */
  readonly watch: AbortSignal;
  /** When it fires, pending observations get one more attempt. */
  readonly write: AbortSignal;
}

/** In milliseconds. */
export interface FollowTimings {
  /** How long an observation waits for others to share its write. */
  readonly flushMs: number;
  /** The cluster ends each watch after this long and sends a bookmark just before, so the resource version stays recent. */
  readonly watchMs: number;
  /** Silence beyond `watchMs` after which a connection counts as dead. */
  readonly graceMs: number;
  /** How often the ledger's live runs are compared with what the watch knows. */
  readonly auditMs: number;
  /** Runs that changed more recently than this are not audited: the watch may be about to report them. */
  readonly settledMs: number;
  /** How often everything is listed even without errors, as a safety net. */
  readonly relistMs: number;
  readonly leaseMs: number;
}

/** How often the lease is renewed or requested, in milliseconds. */
export const RENEWAL_MS = 15_000;

const DEFAULT_TIMINGS: FollowTimings = {
  flushMs: 50,
  watchMs: 30_000,
  graceMs: 5_000,
  auditMs: 60_000,
  settledMs: 10_000,
  relistMs: 30 * 60_000,
  leaseMs: 2 * RENEWAL_MS,
};

/** The default timings with any overrides from a test. */
export function timingsOf(deps: FollowDeps): FollowTimings {
  return { ...DEFAULT_TIMINGS, ...deps.timings };
}
