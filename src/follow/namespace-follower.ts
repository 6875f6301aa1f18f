import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import { errorMessage } from '../base/errors.ts';
import { ArgoError } from '../clients/argo/errors.ts';
import type { WatchEvent } from '../clients/argo/workflows.ts';
import { isFinished } from '../domain/run-state.ts';
import { LABELS, MANAGED_BY } from '../domain/workflow-plan.ts';
import { liveRuns, type LiveRun } from '../ledger/observe-live-runs.ts';
import type { Observation } from '../ledger/observe-workflows.ts';
import { timingsOf, type FollowDeps, type FollowTimings } from './deps.ts';
import { createFollowTelemetry } from './follow-telemetry.ts';
import { KnownWorkflows } from './known-workflows.ts';
import { ObservationBuffer } from './observation-buffer.ts';
import { observe } from './observe.ts';
import { pause } from './pause.ts';
import { BATCH, RunUpdater, VANISHED, type Candidate } from './run-updater.ts';

const SELECTOR = `${LABELS.managedBy}=${MANAGED_BY}`;
const BACKOFF: BackoffLimits = { firstMs: 100, maxMs: 30_000 };
/** A watch that lived this long was a good one: what ends it is a new trouble, not the old one again. */
const GOOD_WATCH_MS = 5_000;
/** After this many failures in a row from one version it may be the version that is at fault. */
const MAX_FAILURES = 5;

/**
 * Follows the workflows of one namespace until its signal fires: lists them, compares that with the live runs of the
 * ledger, and watches from there. A watch that breaks goes on from the last version it heard of; the list is repeated
 * only when the cluster has forgotten that version.
 */
export class NamespaceFollower {
  readonly #namespace: string;
  readonly #deps: FollowDeps;
  readonly #timings: FollowTimings;
  readonly #signal: AbortSignal;
  readonly #telemetry = createFollowTelemetry();
  readonly #known = new KnownWorkflows();
  readonly #updater: RunUpdater;
  readonly #buffer: ObservationBuffer;
  /** Where the watch goes on; undefined when the list has to be read first. */
  #version: string | undefined;
  #listedAt = 0;
  #failures = 0;

  constructor(namespace: string, deps: FollowDeps, signal: AbortSignal) {
    this.#namespace = namespace;
    this.#deps = deps;
    this.#timings = timingsOf(deps);
    this.#signal = signal;
    this.#telemetry.watching(namespace);
    this.#updater = new RunUpdater(deps, this.#known, signal);
    this.#buffer = new ObservationBuffer({
      write: (batch) => this.#updater.write(batch),
      delayMs: this.#timings.flushMs,
      limit: BATCH,
    });
  }

  /** Returns, when the signal has fired, after what was being written is written. Never rejects. */
  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      const startedAt = performance.now();
      try {
        this.#version ??= await this.#list();
        await this.#watch(this.#version);
        await this.#afterWatch(startedAt);
      } catch (error) {
        await this.#afterFailure(error, startedAt);
      }
    }
    await this.#buffer.flush();
  }

  /**
   * Looks at the runs that the ledger believes in and this watch knows nothing or something else of: their workflow was
   * gone before its uid was read, lost its label, or slipped through in a way that nobody foresaw.
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
    // Asked before the list: what was live then is either in the list, or has vanished.
    const live = await liveRuns(this.#deps.db, { namespace: this.#namespace, unchangedForMs: 0 });
    const uids = new Set<string>();
    const names = new Set<string>();
    let version = '';
    const options = { labelSelector: SELECTOR, signal: this.#signal };
    for await (const page of this.#deps.workflows.listWorkflows(this.#namespace, options)) {
      for (const workflow of page.workflows) {
        const seen = observe(workflow);
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
    const { logger } = this.#deps;
    logger.info({ namespace: this.#namespace, listed: uids.size, missing: missing.length }, 'workflows listed');
    return version;
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { watchMs, graceMs } = this.#timings;
    const events = this.#deps.workflows.watchWorkflows(this.#namespace, {
      labelSelector: SELECTOR,
      resourceVersion,
      timeoutSeconds: Math.ceil(watchMs / 1000),
      idleTimeoutMs: watchMs + graceMs,
      signal: this.#signal,
    });
    for await (const event of events) {
      await this.#take(event);
      this.#version = event.resourceVersion;
      this.#failures = 0;
    }
  }

  async #take(event: WatchEvent): Promise<void> {
    if (event.type === 'BOOKMARK') {
      return;
    }
    const seen = observe(event.workflow);
    if (event.type === 'DELETED') {
      this.#known.forget(seen.uid);
      await this.#buffer.add(isFinished(seen.state) ? seen : { ...seen, state: 'lost', reason: VANISHED });
    } else {
      await this.#takeNews(seen);
    }
  }

  async #takeNews(seen: Observation): Promise<void> {
    if (this.#known.isNews(seen)) {
      await this.#buffer.add(seen);
    }
  }

  /** The cluster ended the watch in order, as it does regularly. One that does so at once must not be asked at once. */
  async #afterWatch(startedAt: number): Promise<void> {
    if (performance.now() - this.#listedAt > this.#timings.relistMs) {
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
    this.#telemetry.interrupted(this.#namespace);
    const { logger } = this.#deps;
    const fields = { namespace: this.#namespace, failures: this.#failures, error: errorMessage(error) };
    logger[this.#failures === 1 ? 'info' : 'warn'](fields, 'watch interrupted');
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

/** Whether going on from the same version is pointless: it is forgotten, or what comes after it cannot be read. */
function needsList(error: unknown, failures: number): boolean {
  if (failures >= MAX_FAILURES || !(error instanceof ArgoError)) {
    return true;
  }
  const unreadable = error.code === 'argo.bad_answer' || error.code === 'argo.invalid';
  return error.code === 'argo.expired' || (unreadable && failures > 1);
}

function toCandidate({ namespace, workflowName, workflowUid, deliveryLabel }: LiveRun): Candidate {
  return { namespace, name: workflowName, uid: workflowUid, deliveryLabel };
}
