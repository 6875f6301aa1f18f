import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Timer } from '../base/timer.ts';
import type { UrgentWork } from '../base/urgent-work.ts';
import { within } from '../base/within.ts';
import { Worker } from '../base/worker.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { RunState } from '../domain/run-state.ts';
import { moveRun, type RunMove } from '../ledger/move-run.ts';
import type { CreatedWorkflow } from '../ledger/observe-workflows.ts';
import {
  claimDueRuns,
  isToCreate,
  postponeRun,
  renewClaim,
  settleRun,
  type ClaimedRun,
} from '../ledger/submission-queue.ts';
import { createOnce, type Enrich, type Reporting } from './create-once.ts';
import type { Creation } from './creation.ts';
import { Marks, type Mark, type MarkResult } from './marks.ts';
import { createPacer } from './pacer.ts';
import { SubmitEvents } from './submit-events.ts';
import { Slots, type Slot } from './slots.ts';
import { stopOnce } from './stop-once.ts';
import { takeOver } from './take-over.ts';

/** How an attempt to submit a run ended; `queued` is retried later. */
export interface Submission {
  readonly state: RunState;
  readonly reason: string;
  readonly workflowName: string;
  /** The Go service had created the workflow. */
  readonly takenOver?: boolean;
}

export interface SubmitterDeps {
  readonly db: Database;
  readonly workflows: Pick<
    ArgoClient,
    'createWorkflow' | 'getWorkflow' | 'isReady' | 'listWorkflows' | 'patchWorkflow'
  >;
  readonly clock: Clock;
  /** Limits how long callers wait for an attempt, and measures claims. */
  readonly timer: Timer;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Maximum number of concurrent creates. */
  readonly concurrency: number;
  /** Maximum number of live workflows at a time across all processes; undefined for no limit. */
  readonly maxActive: number | undefined;
  /** Absent if workflows do not report back. */
  readonly reporting?: Reporting;
  /** Adds parameters to a run that is about to be created; must not throw. */
  readonly enrich?: Enrich;
  /** Called when a message needs an update. Must not throw. */
  readonly onChanged: () => void;
  /** During a rush of this work, submission slows down. */
  readonly urgent: UrgentWork;
}

/** The workflow is in the cluster. */
function submitted({ workflowName }: Pick<CreatedWorkflow, 'workflowName'>): Submission {
  return { state: 'submitted', reason: '', workflowName };
}

/** Why a run has to wait. */
interface Delay {
  readonly reason: string;
  readonly doubtful: boolean;
  readonly afterMs?: number;
  readonly cause?: unknown;
}

const BACKOFF: BackoffLimits = { firstMs: 500, maxMs: 60_000 };
/** How soon to ask the pacer again while it delays creates. */
const PACE_MS = 20;
/**
 * After this age and this many attempts, facteur gives up a run that the cluster never accepted: its user has long retried.
 * Attempts count too, because a run may have waited for days before it was due.
 */
const GIVE_UP_AFTER_MS = 24 * 60 * 60 * 1000;
const GIVE_UP_TRIES = 50;

/**
 * Brings the cluster in line with the ledger: creates queued runs and stops runs on request. A run that a door has just recorded
 * is created immediately, in the slot that the door took; due runs are claimed from their rows. A cluster that hangs occupies
 * slots, never a door.
 */
export class Submitter {
  readonly #deps: SubmitterDeps;
  readonly #worker: Worker;
  readonly #slots: Slots;
  readonly #pacer = createPacer();
  readonly #events: SubmitEvents;
  readonly #marks: Marks;
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #waiting = new Map<string, ((submission: Submission) => void)[]>();

  constructor(deps: SubmitterDeps) {
    this.#deps = deps;
    this.#events = new SubmitEvents(deps.logger, deps.clock);
    this.#slots = new Slots(
      deps.concurrency,
      () => this.nudge(),
      () => deps.timer.elapsedMs(),
    );
    this.#marks = new Marks({ ...deps, onWritten: (mark, result) => this.#marked(mark, result) });
    this.#worker = new Worker({
      name: 'submit',
      logger: deps.logger,
      pass: () => this.runOnce(),
      failureDelayMs: 1000,
      spacingMs: () => deps.urgent.spacingMs,
    });
  }

  start(): void {
    this.#worker.start();
  }

  /** Stops claiming and waits for the calls in flight, each of which ends within its timeout, and for their marks. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    const creates = [...this.#inFlight];
    // Creates may wait for room among the marks.
    await this.#marks.stop();
    await Promise.allSettled(creates);
    await this.#marks.stop();
    await Promise.allSettled(this.#inFlight);
  }

  /**
   * A slot for a run that is about to be recorded, or undefined if the run must wait in the ledger. It waits behind earlier runs,
   * which would otherwise wait as long as new ones keep coming.
   */
  takeSlot(): Slot | undefined {
    const { maxActive, urgent } = this.#deps;
    const mustWait = maxActive !== undefined || this.#slots.wanted || urgent.isRush;
    return mustWait || this.#pacer.take(this.#now(), 1) === 0 ? undefined : this.#slots.take();
  }

  /** Looks for due runs within `delayMs`. */
  nudge(delayMs = 0): void {
    this.#worker.nudge(delayMs);
  }

  /** The result of the next attempt for this run in this process, or undefined if none ends within `waitMs`. */
  async settled(runId: string, waitMs: number): Promise<Submission | undefined> {
    const mark = this.#marks.find(runId);
    if (mark !== undefined) {
      return submitted(mark);
    }
    const { promise, resolve: tell } = Promise.withResolvers<Submission>();
    const waiters = this.#waiting.get(runId) ?? [];
    this.#waiting.set(runId, waiters);
    waiters.push(tell);
    try {
      const outcome = await within(this.#deps.timer, waitMs, () => promise);
      return outcome.inTime ? outcome.value : undefined;
    } finally {
      waiters.splice(waiters.indexOf(tell), 1);
      if (waiters.length === 0 && this.#waiting.get(runId) === waiters) {
        this.#waiting.delete(runId);
      }
    }
  }

  /** Submits or stops a claimed run in the background, then releases the slot. Failures are recorded in the ledger. */
  submit(run: ClaimedRun, slot: Slot): void {
    const submission = this.#events.attempt(run, () => this.#handle(run, slot));
    this.#track(submission);
    void submission.then((ended) => {
      slot.release();
      for (const tell of [...(this.#waiting.get(run.runId) ?? [])]) {
        tell(ended);
      }
    });
  }

  /**
   * One pass: claims as many due runs as there are free slots and as the pacer allows. Whatever makes a run due nudges the
   * worker; the sweep finds runs that were not announced.
   */
  async runOnce(): Promise<number> {
    const free = this.#deps.urgent.leave(this.#slots.free);
    const limit = free <= 0 ? 0 : this.#pacer.take(this.#now(), free);
    if (limit <= 0) {
      this.#slots.want();
      return free <= 0 ? Infinity : PACE_MS;
    }
    const takenAtMs = this.#deps.timer.elapsedMs();
    const { runs, nextInMs } = await claimDueRuns(this.#deps.db, { limit, maxActive: this.#deps.maxActive });
    for (const run of runs) {
      // Stopping runs is never delayed, so there may be a few more runs than slots.
      this.submit(run, { release: () => undefined, ...this.#slots.take(), takenAtMs });
    }
    if (runs.length < limit) {
      this.#slots.want(false);
      return nextInMs ?? Infinity;
    }
    this.#slots.want();
    return this.#slots.free > 0 ? 0 : Infinity;
  }

  async #handle(run: ClaimedRun, { takenAtMs }: Slot): Promise<Submission> {
    try {
      const taken = await takeOver(run, this.#deps);
      if (taken !== undefined) {
        return await this.#settle(run, taken);
      }
      if (!isToCreate(run)) {
        return await this.#stop(run);
      }
      const claimedAtMs = await this.#claimedAtMs(run, takenAtMs);
      const elapsedMs = (): number => this.#deps.timer.elapsedMs();
      return await this.#settle(run, await createOnce(run, { ...this.#deps, elapsedMs, claimedAtMs }));
    } catch (error) {
      // Only the ledger can fail here. The claim expires and the run is retried.
      this.#events.outcomeNotRecorded(run, error);
      return { state: run.state, reason: '', workflowName: run.workflowName };
    }
  }

  /** The search for a workflow of the Go service may have taken as long as a claim lasts. */
  async #claimedAtMs(run: ClaimedRun, takenAtMs: number): Promise<number> {
    if (!run.takenOver) {
      return takenAtMs;
    }
    const renewedAtMs = this.#deps.timer.elapsedMs();
    return (await renewClaim(this.#deps.db, run)) ? renewedAtMs : -Infinity;
  }

  async #settle(run: ClaimedRun, creation: Creation): Promise<Submission> {
    const { workflowName } = creation;
    if (creation.kind === 'created') {
      this.#pacer.succeeded(this.#now());
      await this.#marks.add(run, creation);
      return { ...submitted(creation), takenOver: creation.takenOver === true };
    }
    const outcome = this.#giveUpIfOld(run, creation);
    if (outcome.kind === 'refused') {
      return this.#end(run, { to: 'refused', reason: outcome.reason });
    }
    if (outcome.overloaded) {
      this.#pacer.overloaded(this.#now());
    }
    await this.#postpone(run, outcome);
    return { state: 'queued', reason: outcome.reason, workflowName };
  }

  async #stop(run: ClaimedRun): Promise<Submission> {
    const ending = await stopOnce(run, this.#deps.workflows);
    const { workflowName } = run;
    switch (ending.kind) {
      case 'never_created': {
        const actor = run.cancelRequestedBy;
        return this.#end(run, { to: 'canceled', reason: `canceled by ${actor} before it was submitted`, actor });
      }
      case 'found':
        await this.#marks.add(run, { workflowName, workflowUid: ending.workflowUid });
        return submitted(run);
      case 'told':
        if (await settleRun(this.#deps.db, run)) {
          this.#deps.onChanged();
        }
        this.#events.workflowToldToStop(run);
        return { state: run.state, reason: '', workflowName };
      case 'postponed':
        await this.#postpone(run, { ...ending, doubtful: false });
        return { state: run.state, reason: ending.reason, workflowName };
    }
  }

  /** The mark is in the ledger, regardless of the run's current claim: its workflow exists. */
  #marked({ run, workflowName, workflowUid }: Mark, result: MarkResult): void {
    switch (result.effect) {
      case 'moved':
        this.#events.runMoved(run, { to: 'submitted', reason: '' });
        this.#announce(result);
        return;
      case 'updated':
        this.#announce(result);
        return;
      case 'unwanted':
        this.#events.workflowLate(run, workflowName, result.to);
        this.nudge();
        return;
      case 'foreign':
        this.#events.workflowLate(run, workflowName, result.to);
        this.#track(this.#stopForeign(run, { workflowName, workflowUid }, result.to));
    }
  }

  /** A second workflow that no row knows about must not run. */
  async #stopForeign(run: ClaimedRun, { workflowName, workflowUid }: CreatedWorkflow, state: RunState): Promise<void> {
    const ending = await stopOnce({ ...run, state: 'submitted', workflowName, workflowUid }, this.#deps.workflows);
    if (ending.kind === 'postponed') {
      this.#events.lateWorkflowNotStopped(run, { workflowName, state, reason: ending.reason });
    }
  }

  async #end(run: ClaimedRun, move: Omit<RunMove, 'runId' | 'fence'>): Promise<Submission> {
    const { runId, fence, workflowName } = run;
    const { moved, messageChanged } = await moveRun(this.#deps.db, { runId, fence, ...move });
    if (moved) {
      this.#events.runMoved(run, move);
    }
    // A run that does not need its place in the cluster makes room for another.
    this.#announce({ messageChanged, dueNow: moved && this.#deps.maxActive !== undefined });
    return { state: move.to, reason: move.reason, workflowName };
  }

  #announce({ messageChanged, dueNow }: { readonly messageChanged: boolean; readonly dueNow: boolean }): void {
    if (messageChanged) {
      this.#deps.onChanged();
    }
    if (dueNow) {
      this.nudge();
    }
  }

  #track(work: Promise<unknown>): void {
    this.#inFlight.add(work);
    void work.finally(() => this.#inFlight.delete(work));
  }

  async #postpone(run: ClaimedRun, { reason, doubtful, afterMs = 0, cause }: Delay): Promise<void> {
    const delayMs = Math.max(afterMs, backoffMs(run.attempts, BACKOFF, this.#deps.random()));
    const postponed = await postponeRun(this.#deps.db, run, { delayMs, reason, refused: doubtful });
    if (postponed === undefined) {
      return;
    }
    if (postponed.messageChanged) {
      this.#deps.onChanged();
    }
    this.nudge(postponed.dueNow ? 0 : delayMs);
    this.#events.runPostponed(run, delayMs, { reason, cause });
  }

  #giveUpIfOld(run: ClaimedRun, creation: Exclude<Creation, { kind: 'created' }>) {
    const age = this.#deps.clock.now().getTime() - run.acceptedAt.getTime();
    // A run taken over from the Go service may have any age, and its workflow may be running.
    const isOld = !run.takenOver && age > GIVE_UP_AFTER_MS && run.attempts >= GIVE_UP_TRIES;
    if (creation.kind === 'postponed' && isOld && !creation.full) {
      return { kind: 'refused', reason: `gave up after ${run.attempts} attempts: ${creation.reason}` } as const;
    }
    return creation;
  }

  #now(): number {
    return performance.now();
  }
}
