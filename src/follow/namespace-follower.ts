import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import { ArgoError } from '../clients/argo/errors.ts';
import type { WatchEvent, Workflow } from '../clients/argo/workflows.ts';
import { isFinished } from '../domain/run-state.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import { LABELS } from '../domain/workflow-plan.ts';
import { waitingUids } from '../ledger/approvals.ts';
import { ObservationBuffer } from '../ledger/observation-buffer.ts';
import { liveRuns, rewindVersions, type LiveRun, type Observation, type Rewound } from '../ledger/observe-workflows.ts';
import { timingsOf, type FollowDeps, type FollowSignals, type FollowTimings } from './deps.ts';
import { FollowEvents } from './follow-events.ts';
import { KnownWorkflows } from './known-workflows.ts';
import { observe } from './observe.ts';
import { pause } from '../base/timer.ts';
import { BATCH, RunUpdater, VANISHED, type Sighting } from './run-updater.ts';

/** Only facteur sets this label: a template's `workflowMetadata` may say that Helm or Argo CD manages its workflows. */
const SELECTOR = LABELS.delivery;
const BACKOFF: BackoffLimits = { firstMs: 100, maxMs: 30_000 };
/** A watch that lived this long was healthy: its end is a new problem and not the previous one. */
const GOOD_WATCH_MS = 5_000;
/** After this many failures in a row from one version, the version itself may be the problem. */
const MAX_FAILURES = 5;

/**
 * Follows the workflows of one namespace until its signal fires: lists them, compares that with the live runs of the
 * ledger, and watches from there. An interrupted watch resumes at its last version; the list is repeated only if the
 * cluster no longer has that version.
 */
export class NamespaceFollower {
  readonly #namespace: string;
  readonly #deps: FollowDeps;
  readonly #timings: FollowTimings;
  readonly #signal: AbortSignal;
  readonly #events: FollowEvents;
  readonly #known = new KnownWorkflows();
  readonly #updater: RunUpdater;
  readonly #buffer: ObservationBuffer;
  /** Where the watch resumes; undefined if a list is needed first. */
  #version: string | undefined;
  #listedAt = 0;
  /** A watch has ended early since the last list, so the cluster may have been restored from a backup. */
  #interrupted = false;
  #failures = 0;

  constructor(namespace: string, deps: FollowDeps, signals: FollowSignals) {
    this.#namespace = namespace;
    this.#deps = deps;
    this.#timings = timingsOf(deps);
    this.#signal = signals.watch;
    this.#events = new FollowEvents(deps.logger, deps.labelOf);
    this.#events.watching(namespace);
    this.#updater = new RunUpdater(deps, this.#events, this.#known, signals);
    this.#buffer = new ObservationBuffer({
      write: (batch) => this.#updater.write(batch),
      delayMs: this.#timings.flushMs,
      limit: BATCH,
    });
  }

  /** Returns after the signal has fired and pending observations are written. Never rejects. */
  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      let startedAt = performance.now();
      try {
        this.#version ??= await this.#list();
        startedAt = performance.now();
        const heard = await this.#watch(this.#version);
        await this.#afterWatch(startedAt, heard);
      } catch (error) {
        await this.#afterFailure(error, startedAt);
      }
    }
    await this.#buffer.flush();
  }

  /**
   * Checks live runs of the ledger whose workflow this watch does not know, or knows in another state: the workflow was deleted
   * before its uid was read, lost its label, or was missed in an unforeseen way.
   *
   * @param runs live runs of this namespace that have not changed for some time
   */
  async audit(runs: readonly LiveRun[]): Promise<void> {
    if (this.#version !== undefined) {
      await this.#updater.confirm(
        runs.filter((run) => this.#known.stateOf(run.workflowUid) !== run.state).map(toCandidate),
      );
    }
  }

  async #list(): Promise<string> {
    await this.#buffer.flush();
    // Read before the list: a run that was live then is in the list, or its workflow has disappeared.
    const live = await liveRuns(this.#deps.db, { namespace: this.#namespace, unchangedForMs: 0 });
    this.#known.expectWaiting(await waitingUids(this.#deps.db, this.#namespace));
    const liveByUid = new Map(live.map((run) => [run.workflowUid, run]));
    this.#known.forgetVersions();
    const uids = new Set<string>();
    const names = new Set<string>();
    let version = '';
    const options = { labelSelector: SELECTOR, signal: this.#signal };
    for await (const page of this.#deps.workflows.listWorkflows(this.#namespace, options)) {
      const observed = page.workflows.map(observe);
      await this.#rewind(findRewound(observed, liveByUid));
      for (const seen of observed) {
        uids.add(seen.uid);
        names.add(seen.name);
        await this.#takeNews(seen);
      }
      version = page.resourceVersion;
    }
    await this.#buffer.flush();
    this.#known.forgetAllBut(uids);
    const missing = live.filter(({ workflowUid, workflowName }) =>
      workflowUid === '' ? !names.has(workflowName) : !uids.has(workflowUid),
    );
    await this.#updater.confirm(missing.map(toCandidate));
    this.#listedAt = performance.now();
    this.#interrupted = false;
    const { logger } = this.#deps;
    logger.info({ namespace: this.#namespace, listed: uids.size, missing: missing.length }, 'workflows listed');
    return version;
  }

  async #rewind(rewound: readonly Rewound[]): Promise<void> {
    if (rewound.length > 0) {
      await rewindVersions(this.#deps.db, rewound);
      const line = { namespace: this.#namespace, workflows: rewound.length };
      this.#deps.logger.warn(line, 'workflows are older than before: the cluster came back from a backup');
    }
  }

  /** Whether the cluster sent any event. */
  async #watch(resourceVersion: string): Promise<boolean> {
    const { watchMs, graceMs } = this.#timings;
    const events = this.#deps.workflows.watchWorkflows(this.#namespace, {
      labelSelector: SELECTOR,
      resourceVersion,
      timeoutSeconds: Math.ceil(watchMs / 1000),
      idleTimeoutMs: watchMs + graceMs,
      signal: this.#signal,
    });
    let heard = false;
    for await (const event of events) {
      await this.#take(event);
      this.#version = event.resourceVersion;
      this.#failures = 0;
      heard = true;
    }
    return heard;
  }

  /** Resolves when there is room for the next event. */
  #take(event: WatchEvent<Workflow>): Promise<void> | undefined {
    if (event.type === 'BOOKMARK') {
      return undefined;
    }
    const seen = observe(event.object);
    if (event.type !== 'DELETED') {
      return this.#takeNews(seen);
    }
    this.#known.forget(seen.uid);
    return this.#buffer.add(isFinished(seen.state) ? seen : { ...seen, state: 'lost', reason: VANISHED });
  }

  #takeNews(seen: Observation): Promise<void> | undefined {
    return this.#known.isNews(seen) ? this.#buffer.add(seen) : undefined;
  }

  /** The cluster closed the watch normally, as it regularly does. If that was immediate, wait before the next one. */
  async #afterWatch(startedAt: number, heard: boolean): Promise<void> {
    const { relistMs, watchMs } = this.#timings;
    const isWhole = performance.now() - startedAt >= watchMs;
    this.#interrupted ||= !isWhole;
    // A watch ends with a bookmark, except if its version is in the future (the cluster was restored from a backup) or if nothing
    // has changed, because an API server does not repeat a version. A restore also ends all watches early.
    const unknownVersion = isWhole && !heard && this.#interrupted;
    if (unknownVersion || performance.now() - this.#listedAt > relistMs) {
      this.#version = undefined;
    }
    if (performance.now() - startedAt < Math.min(GOOD_WATCH_MS, this.#timings.watchMs / 2)) {
      this.#failures += 1;
      await this.#backOff(0);
    }
  }

  async #afterFailure(error: unknown, startedAt: number): Promise<void> {
    if (this.#signal.aborted) {
      return;
    }
    if (performance.now() - startedAt > GOOD_WATCH_MS) {
      this.#failures = 0;
    }
    this.#failures += 1;
    this.#interrupted = true;
    this.#events.watchInterrupted(this.#namespace, this.#failures, error);
    if (needsList(error, this.#failures)) {
      this.#version = undefined;
    }
    await this.#backOff(error instanceof ArgoError ? (error.retryAfterMs ?? 0) : 0);
  }

  async #backOff(atLeastMs: number): Promise<void> {
    const ms = backoffMs(Math.max(1, this.#failures), BACKOFF, this.#deps.random());
    await pause(Math.max(ms, atLeastMs), this.#signal);
  }
}

/** Whether resuming from the same version is pointless: it is no longer available, or the events after it cannot be read. */
export function needsList(error: unknown, failures: number): boolean {
  if (failures >= MAX_FAILURES || !(error instanceof ArgoError)) {
    return true;
  }
  const unreadable = error.code === 'argo.bad_answer' || error.code === 'argo.invalid';
  return error.code === 'argo.expired' || (unreadable && failures > 1);
}

/**
 * The listed workflows that are older than the ledger's record of them from before the list. A list returns the newest versions,
 * so the cluster was restored from a backup.
 */
function findRewound(listed: readonly Observation[], liveByUid: ReadonlyMap<string, LiveRun>): Rewound[] {
  return listed.flatMap(({ uid, version }) => {
    const { runId, version: recorded } = liveByUid.get(uid) ?? { runId: '', version: null };
    const isOlder = recorded !== null && version !== undefined && version < BigInt(recorded);
    return isOlder ? [{ runId, recorded, listed: version.toString() }] : [];
  });
}

function toCandidate({ namespace, workflowName, workflowUid, deliveryId }: LiveRun): Sighting {
  return { namespace, name: workflowName, uid: workflowUid, deliveryLabel: deliveryLabel(deliveryId) };
}
