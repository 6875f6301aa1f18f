import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { LogFields, Logger } from '../base/logger.ts';
import { traceField } from '../base/traceparent.ts';
import type { UrgentWork } from '../base/urgent-work.ts';
import { Worker } from '../base/worker.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { RunState } from '../domain/run-state.ts';
import { moveRun, type RunMove } from '../ledger/move-run.ts';
import { claimDueRuns, isToCreate, postponeRun, settleRun, type ClaimedRun } from '../ledger/submission-queue.ts';
import { createOnce, type Creation } from './create-once.ts';
import { createPacer } from './pacer.ts';
import { createSubmitTelemetry } from './submit-telemetry.ts';
import { Slots, type Slot } from './slots.ts';
import { stopOnce } from './stop-once.ts';

/** How a try to submit a run ended; `queued` means it is tried again later. */
export interface Submission {
  readonly state: RunState;
  readonly reason: string;
  readonly workflowName: string;
}

export interface SubmitterDeps {
  readonly db: Database;
  readonly workflows: Pick<ArgoClient, 'createWorkflow' | 'getWorkflow' | 'patchWorkflow'>;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Creates under way at a time. */
  readonly concurrency: number;
  /** Live workflows at a time, over all processes; undefined for no limit. */
  readonly maxActive: number | undefined;
  /** Told when a message has something new to show. Must not throw. */
  readonly onChanged: () => void;
  /** In a rush of this, submitting stands back. */
  readonly urgent: UrgentWork;
}

const BACKOFF: BackoffLimits = { firstMs: 500, maxMs: 60_000 };
/** While the pacer holds creates back, how soon to ask it again. */
const PACE_MS = 20;
/**
 * Past this age and after so many tries a run that the cluster never took is given up: whoever asked has long asked
 * again. The tries count too, because a run may have waited for days before it was its turn.
 */
const GIVE_UP_AFTER_MS = 24 * 60 * 60 * 1000;
const GIVE_UP_TRIES = 50;

/**
 * Brings the cluster to what the ledger says: creates queued runs (those that a door has just recorded, at once, in the
 * slot it took; those whose turn has come, by claiming due rows) and ends those that somebody wants ended. A hung
 * cluster holds slots, never a door.
 */
export class Submitter {
  readonly #deps: SubmitterDeps;
  readonly #worker: Worker;
  readonly #slots: Slots;
  readonly #pacer = createPacer();
  readonly #telemetry = createSubmitTelemetry();
  readonly #inFlight = new Set<Promise<Submission>>();
  readonly #waiting = new Map<string, ((submission: Submission) => void)[]>();

  constructor(deps: SubmitterDeps) {
    this.#deps = deps;
    this.#slots = new Slots(deps.concurrency, () => this.nudge());
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

  /** Stops claiming and waits for the calls under way; each ends by itself within its time-out. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    await Promise.allSettled(this.#inFlight);
  }

  /**
   * A slot for a run that is about to be recorded, or nothing when it has to wait for its turn in the ledger: behind those
   * that wait already, or else they would wait for as long as new ones keep coming.
   */
  takeSlot(): Slot | undefined {
    const { maxActive, urgent } = this.#deps;
    const mustWait = maxActive !== undefined || this.#slots.wanted || urgent.isRush;
    return mustWait || this.#pacer.take(this.#now(), 1) === 0 ? undefined : this.#slots.take();
  }

  /** Looks for due runs in `delayMs` at the latest. */
  nudge(delayMs = 0): void {
    this.#worker.nudge(delayMs);
  }

  /** The end of the next try for this run in this process, or nothing when none ends within `waitMs`. */
  settled(runId: string, waitMs: number): Promise<Submission | undefined> {
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(runId) ?? [];
      this.#waiting.set(runId, waiters);
      const finish = (submission: Submission | undefined): void => {
        clearTimeout(timer);
        waiters.splice(waiters.indexOf(tell), 1);
        if (waiters.length === 0 && this.#waiting.get(runId) === waiters) {
          this.#waiting.delete(runId);
        }
        resolve(submission);
      };
      const tell = (submission: Submission): void => finish(submission);
      const timer = setTimeout(() => finish(undefined), waitMs);
      waiters.push(tell);
    });
  }

  /** Brings a claimed run to the cluster in the background and gives the slot back. What goes wrong is in the ledger. */
  submit(run: ClaimedRun, slot: Slot): void {
    const submission = this.#telemetry.attempt(run, () => this.#handle(run));
    this.#inFlight.add(submission);
    void submission.then((ended) => {
      this.#inFlight.delete(submission);
      slot.release();
      for (const tell of [...(this.#waiting.get(run.runId) ?? [])]) {
        tell(ended);
      }
    });
  }

  /**
   * One pass: claims as many due runs as there are free slots and as the pacer lets through. Whoever makes a run due
   * nudges; what nobody announced is found by the sweep.
   */
  async runOnce(): Promise<number> {
    const free = this.#deps.urgent.leave(this.#slots.free);
    const limit = free <= 0 ? 0 : this.#pacer.take(this.#now(), free);
    if (limit <= 0) {
      this.#slots.want();
      return free <= 0 ? Infinity : PACE_MS;
    }
    const { runs, nextInMs } = await claimDueRuns(this.#deps.db, { limit, maxActive: this.#deps.maxActive });
    for (const run of runs) {
      // Ending runs is never held back, so there may be a few more than slots.
      this.submit(run, this.#slots.take() ?? { release: () => undefined });
    }
    if (runs.length < limit) {
      this.#slots.want(false);
      return nextInMs ?? Infinity;
    }
    this.#slots.want();
    return this.#slots.free > 0 ? 0 : Infinity;
  }

  async #handle(run: ClaimedRun): Promise<Submission> {
    try {
      return isToCreate(run) ? await this.#create(run) : await this.#end(run);
    } catch (error) {
      // Only the ledger can fail here. The claim runs out by itself and the run is tried again.
      this.#deps.logger.error({ ...idsOf(run), error: errorMessage(error) }, 'submission could not be recorded');
      return { state: run.state, reason: '', workflowName: run.workflowName };
    }
  }

  async #create(run: ClaimedRun): Promise<Submission> {
    const creation = await createOnce(run, this.#deps);
    const { workflowName } = creation;
    if (creation.kind === 'created') {
      this.#pacer.succeeded(this.#now());
      await this.#markSubmitted(run, creation.workflowUid);
      return { state: 'submitted', reason: '', workflowName };
    }
    const outcome = this.#giveUpIfOld(run, creation);
    if (outcome.kind === 'refused') {
      await this.#move(run, { to: 'refused', reason: outcome.reason });
      return { state: 'refused', reason: outcome.reason, workflowName };
    }
    if (outcome.overloaded) {
      this.#pacer.overloaded(this.#now());
    }
    await this.#postpone(run, outcome.reason, outcome.afterMs ?? 0);
    return { state: 'queued', reason: outcome.reason, workflowName };
  }

  async #end(run: ClaimedRun): Promise<Submission> {
    const ending = await stopOnce(run, this.#deps.workflows);
    const { workflowName } = run;
    switch (ending.kind) {
      case 'never_created': {
        const reason = `canceled by ${run.cancelRequestedBy} before it was submitted`;
        await this.#move(run, { to: 'canceled', reason, actor: run.cancelRequestedBy });
        return { state: 'canceled', reason, workflowName };
      }
      case 'found':
        await this.#markSubmitted(run, ending.workflowUid);
        return { state: 'submitted', reason: '', workflowName };
      case 'told':
        await settleRun(this.#deps.db, run.runId);
        this.#deps.logger.info({ ...idsOf(run), by: run.cancelRequestedBy }, 'workflow told to stop');
        return { state: run.state, reason: '', workflowName };
      case 'postponed':
        await this.#postpone(run, ending.reason, 0);
        return { state: run.state, reason: ending.reason, workflowName };
    }
  }

  async #markSubmitted(run: ClaimedRun, workflowUid: string): Promise<void> {
    await this.#move(run, { to: 'submitted', ...(workflowUid === '' ? {} : { workflowUid }) });
  }

  async #move(run: ClaimedRun, move: Omit<RunMove, 'runId'>): Promise<void> {
    const { runId } = run;
    const { moved, due, news } = await moveRun(this.#deps.db, { runId, ...move });
    if (news) {
      this.#deps.onChanged();
    }
    if (moved) {
      this.#telemetry.moved(run, move.to, this.#deps.clock.now());
      const level = move.to === 'refused' ? 'warn' : 'info';
      this.#deps.logger[level]({ ...idsOf(run), state: move.to, reason: move.reason }, 'run moved');
    }
    // One that needs no place in the cluster after all makes room.
    const makesRoom = moved && move.to !== 'submitted' && this.#deps.maxActive !== undefined;
    if (due || makesRoom) {
      this.nudge();
    }
  }

  async #postpone(run: ClaimedRun, reason: string, afterMs: number): Promise<void> {
    const delayMs = Math.max(afterMs, backoffMs(run.attempts, BACKOFF, this.#deps.random()));
    const { news, due } = await postponeRun(this.#deps.db, run, delayMs, reason);
    if (news) {
      this.#deps.onChanged();
    }
    this.nudge(due ? 0 : delayMs);
    this.#deps.logger.warn({ ...idsOf(run), delayMs, attempts: run.attempts, reason }, 'run postponed');
  }

  #giveUpIfOld(run: ClaimedRun, creation: Exclude<Creation, { kind: 'created' }>) {
    const age = this.#deps.clock.now().getTime() - run.acceptedAt.getTime();
    if (creation.kind === 'postponed' && age > GIVE_UP_AFTER_MS && run.attempts >= GIVE_UP_TRIES) {
      return { kind: 'refused', reason: `gave up after ${run.attempts} tries: ${creation.reason}` } as const;
    }
    return creation;
  }

  #now(): number {
    return performance.now();
  }
}

/** What each line about a run says of it. */
function idsOf({ traceparent, runId, deliveryId }: ClaimedRun): LogFields {
  return { ...traceField(traceparent), runId, deliveryId };
}
