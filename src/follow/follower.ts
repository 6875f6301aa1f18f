import { timingsOf, type FollowDeps } from './deps.ts';
import { followNamespaces } from './follow-namespaces.ts';
import { LeaseKeeper } from './lease-keeper.ts';

export interface FollowerDeps extends FollowDeps {
  /** Always followed; others only while they have live runs. */
  readonly namespaces: readonly string[];
  /** This process, and no other one ever: a fresh UUID will do. */
  readonly holder: string;
}

const LEASE = 'follow';

/** Follows workflows to their end: in one process at a time, whichever holds the lease. */
export class Follower {
  readonly #lease: LeaseKeeper;

  constructor(deps: FollowerDeps) {
    const { db, logger, random, holder, namespaces } = deps;
    this.#lease = new LeaseKeeper({
      db,
      logger,
      random,
      name: LEASE,
      holder,
      lifeMs: timingsOf(deps).leaseMs,
      work: (signal) => followNamespaces([...new Set(namespaces)], deps, signal),
      onDue: (due) => deps.onDue?.(due),
    });
  }

  /** Whether this process is the one that follows at present. */
  get active(): boolean {
    return this.#lease.held;
  }

  start(): void {
    this.#lease.start();
  }

  /** Ends the watches, waits for what is being written, and lets the next process take over at once. */
  stop(): Promise<void> {
    return this.#lease.stop();
  }
}
