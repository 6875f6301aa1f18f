import { timingsOf, type FollowDeps, type FollowSignals } from './deps.ts';
import { claimLease } from '../ledger/leases.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { errorMessage } from '../base/errors.ts';
import { liveRuns, type LiveRun } from '../ledger/observe-workflows.ts';
import { NamespaceFollower } from './namespace-follower.ts';
import { pause } from '../base/timer.ts';

export interface FollowerDeps extends FollowDeps {
  /** Always followed; other namespaces only while they have live runs. */
  readonly namespaces: readonly string[];
  /** Uniquely identifies this process, such as a new UUID. */
  readonly holder: string;
}

const LEASE = 'follow';

/** Follows workflows to their end, in one process at a time: the one that holds the lease. */
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
      work: (watch, write) => followNamespaces([...new Set(namespaces)], deps, { watch, write }),
      claim: deps.claimLease ?? ((request) => claimLease(db, request)),
    });
  }

  /** Whether this process currently follows. */
  get active(): boolean {
    return this.#lease.held;
  }

  start(delayMs = 0): void {
    this.#lease.start(delayMs);
  }

  /** Ends the watches, waits for pending writes, and lets the next process take over immediately. */
  stop(): Promise<void> {
    return this.#lease.stop();
  }
}

interface Followed {
  readonly follower: NamespaceFollower;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/**
 * Follows the configured namespaces, and any other (from an earlier configuration) while it has live runs, until the signal
 * fires. Returns when all followers have stopped.
 */
async function followNamespaces(
  configured: readonly string[],
  deps: FollowDeps,
  signals: FollowSignals,
): Promise<void> {
  const followed = new Map<string, Followed>();
  const { auditMs } = timingsOf(deps);
  for (const namespace of configured) {
    followed.set(namespace, follow(namespace, deps, signals));
  }
  while (!signals.watch.aborted) {
    try {
      await audit(await liveRunsByNamespace(deps), followed, { configured, deps, signals });
    } catch (error) {
      deps.logger.warn({ error: errorMessage(error) }, 'could not audit live runs');
    }
    await pause(auditMs, signals.watch);
  }
  await Promise.all(Array.from(followed.values(), ({ done }) => done));
}

interface Surroundings {
  readonly configured: readonly string[];
  readonly deps: FollowDeps;
  readonly signals: FollowSignals;
}

async function audit(
  live: ReadonlyMap<string, LiveRun[]>,
  followed: Map<string, Followed>,
  { configured, deps, signals }: Surroundings,
): Promise<void> {
  for (const [namespace, { abort, done }] of followed) {
    if (!live.has(namespace) && !configured.includes(namespace)) {
      abort.abort();
      await done;
      followed.delete(namespace);
    }
  }
  for (const [namespace, runs] of live) {
    const present = followed.get(namespace);
    if (present === undefined) {
      followed.set(namespace, follow(namespace, deps, signals));
    } else {
      await present.follower.audit(runs);
    }
  }
}

function follow(namespace: string, deps: FollowDeps, { watch, write }: FollowSignals): Followed {
  const abort = new AbortController();
  const either = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, abort.signal]);
  const follower = new NamespaceFollower(namespace, deps, { watch: either(watch), write: either(write) });
  return { follower, abort, done: follower.run() };
}

async function liveRunsByNamespace(deps: FollowDeps): Promise<ReadonlyMap<string, LiveRun[]>> {
  const live = await liveRuns(deps.db, { unchangedForMs: timingsOf(deps).settledMs });
  return Map.groupBy(live, ({ namespace }) => namespace);
}
