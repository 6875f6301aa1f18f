import type { Logger } from '../base/logger.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { LeaseAnswer, LeaseRequest } from '../ledger/leases.ts';
import type { Observed } from '../ledger/observe-workflows.ts';

/** What following needs of the outside. */
export interface FollowDeps {
  readonly db: Database;
  readonly workflows: Pick<ArgoClient, 'listWorkflows' | 'watchWorkflows' | 'getWorkflow'>;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** The label of a command in metrics. */
  readonly labelOf: (command: string) => string;
  /** Called with runs after they have changed, to wake the notifier. Must not throw. */
  readonly onChanged?: (changes: readonly Observed[]) => void;
  /** Called with runs that wait for people now, or no longer do. Must not throw. */
  readonly onWaiting?: (changes: readonly { readonly messageChanged: boolean }[]) => void;
  /** In place of asking the ledger for the lease: for those who have more to ask in the same statement. */
  readonly claimLease?: (request: LeaseRequest) => Promise<Pick<LeaseAnswer, 'held' | 'expiresInMs'>>;
  readonly timings?: Partial<FollowTimings>;
}

/** When following ends. */
export interface FollowSignals {
  /** Ends the watches. */
  readonly watch: AbortSignal;
  /** What is not written by then gets one more attempt. */
  readonly write: AbortSignal;
}

/** In milliseconds. */
export interface FollowTimings {
  /** How long an observation waits to be written with others. */
  readonly flushMs: number;
  /** The cluster ends each watch after this long, with a bookmark just before, so that the version never grows old. */
  readonly watchMs: number;
  /** Silence beyond `watchMs` after which a connection counts as dead. */
  readonly graceMs: number;
  /** How often the ledger's live runs are compared with what the watch knows. */
  readonly auditMs: number;
  /** Runs that changed later than this long ago are not audited: the watch may be just about to hear of them. */
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

/** The timings in force: the defaults, unless a test says otherwise. */
export function timingsOf(deps: FollowDeps): FollowTimings {
  return { ...DEFAULT_TIMINGS, ...deps.timings };
}
