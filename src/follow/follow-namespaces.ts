import { errorMessage } from '../base/errors.ts';
import { liveRuns, type LiveRun } from '../ledger/observe-live-runs.ts';
import { timingsOf, type FollowDeps } from './deps.ts';
import { NamespaceFollower } from './namespace-follower.ts';
import { pause } from './pause.ts';

interface Followed {
  readonly follower: NamespaceFollower;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/**
 * Follows the configured namespaces, and every other one for as long as it has live runs (an earlier configuration's),
 * until the signal fires; returns when all has come to rest.
 */
export async function followNamespaces(
  configured: readonly string[],
  deps: FollowDeps,
  signal: AbortSignal,
): Promise<void> {
  const followed = new Map<string, Followed>();
  const { auditMs } = timingsOf(deps);
  for (const namespace of configured) {
    followed.set(namespace, follow(namespace, deps, signal));
  }
  while (!signal.aborted) {
    try {
      await audit(await liveRunsByNamespace(deps), followed, { configured, deps, signal });
    } catch (error) {
      deps.logger.warn({ error: errorMessage(error) }, 'live runs could not be audited');
    }
    await pause(auditMs, signal);
  }
  await Promise.all(Array.from(followed.values(), ({ done }) => done));
}

interface Surroundings {
  readonly configured: readonly string[];
  readonly deps: FollowDeps;
  readonly signal: AbortSignal;
}

async function audit(
  live: ReadonlyMap<string, LiveRun[]>,
  followed: Map<string, Followed>,
  { configured, deps, signal }: Surroundings,
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
      followed.set(namespace, follow(namespace, deps, signal));
    } else {
      await present.follower.audit(runs);
    }
  }
}

function follow(namespace: string, deps: FollowDeps, signal: AbortSignal): Followed {
  const abort = new AbortController();
  const follower = new NamespaceFollower(namespace, deps, AbortSignal.any([signal, abort.signal]));
  return { follower, abort, done: follower.run() };
}

async function liveRunsByNamespace(deps: FollowDeps): Promise<ReadonlyMap<string, LiveRun[]>> {
  const live = await liveRuns(deps.db, { unchangedForMs: timingsOf(deps).settledMs });
  return Map.groupBy(live, ({ namespace }) => namespace);
}
