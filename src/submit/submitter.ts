import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { Worker } from '../base/worker.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { RunState } from '../domain/run-state.ts';
import { claimDueRuns, postponeRun, type ClaimedRun } from '../ledger/submission-queue.ts';
import { moveRun } from '../ledger/move-run.ts';
import { createOnce, type Creation } from './create-once.ts';

/** How a try to submit a run ended; `queued` means it is tried again later. */
export interface Submission {
  readonly state: RunState;
  readonly reason: string;
  readonly workflowName: string;
}

/** A place among the creates that may be under way at a time. */
export interface Slot {
  release(): void;
}

export interface SubmitterDeps {
  readonly db: Database;
  readonly workflows: Pick<ArgoClient, 'createWorkflow' | 'getWorkflow'>;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Creates under way at a time. */
  readonly concurrency: number;
}

const BACKOFF: BackoffLimits = { firstMs: 500, maxMs: 60_000 };
/** Polling is the fallback for what another process left behind. */
const IDLE_MS = 10_000;
/** Past this age a run that the cluster never took is given up: whoever asked has long asked again. */
const GIVE_UP_AFTER_MS = 24 * 60 * 60 * 1000;

/**
 * Brings queued runs to the cluster: those that a door has just recorded (at once, in the slot it took), and those whose
 * turn has come (crashed processes, failed tries), by claiming due rows. A hung cluster holds slots, never a door.
 */
export class Submitter {
  readonly #deps: SubmitterDeps;
  readonly #worker: Worker;
  readonly #inFlight = new Map<string, Promise<Submission>>();
  #taken = 0;

  constructor(deps: SubmitterDeps) {
    this.#deps = deps;
    this.#worker = new Worker({
      name: 'submit',
      logger: deps.logger,
      pass: () => this.runOnce(),
      failureDelayMs: 1000,
    });
  }

  start(): void {
    this.#worker.start();
  }

  /** Stops claiming and waits for the creates under way; each ends by itself within its time-out. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    await Promise.allSettled(this.#inFlight.values());
  }

  /** A slot, or nothing while all are taken: then the run waits for its turn in the ledger. */
  takeSlot(): Slot | undefined {
    if (this.#taken >= this.#deps.concurrency) {
      return undefined;
    }
    this.#taken += 1;
    let held = true;
    return {
      release: () => {
        if (held) {
          held = false;
          this.#taken -= 1;
          if (this.#taken === this.#deps.concurrency - 1) {
            this.nudge();
          }
        }
      },
    };
  }

  /** Looks for due runs in `delayMs` at the latest. */
  nudge(delayMs = 0): void {
    this.#worker.nudge(delayMs);
  }

  /** The try that is under way for a run in this process, if any. */
  pending(runId: string): Promise<Submission> | undefined {
    return this.#inFlight.get(runId);
  }

  /** Submits a claimed run and gives the slot back. Never rejects: what went wrong is in the ledger, to be tried again. */
  submit(run: ClaimedRun, slot: Slot): Promise<Submission> {
    const submission = this.#trySubmit(run).finally(() => {
      this.#inFlight.delete(run.runId);
      slot.release();
    });
    this.#inFlight.set(run.runId, submission);
    return submission;
  }

  /** One pass: claims as many due runs as there are free slots. */
  async runOnce(): Promise<number> {
    const free = this.#deps.concurrency - this.#taken;
    if (free <= 0) {
      return IDLE_MS;
    }
    const runs = await claimDueRuns(this.#deps.db, free);
    for (const run of runs) {
      const slot = this.takeSlot();
      if (slot === undefined) {
        await postponeRun(this.#deps.db, run.runId, 0, '');
      } else {
        void this.submit(run, slot);
      }
    }
    return IDLE_MS;
  }

  async #trySubmit(run: ClaimedRun): Promise<Submission> {
    try {
      return await this.#record(run, await createOnce(run, this.#deps));
    } catch (error) {
      // Only the ledger can fail here. The claim runs out by itself and the run is tried again.
      this.#deps.logger.error({ runId: run.runId, error: errorMessage(error) }, 'submission could not be recorded');
      return { state: 'queued', reason: '', workflowName: run.workflowName };
    }
  }

  async #record(run: ClaimedRun, creation: Creation): Promise<Submission> {
    const { db, logger } = this.#deps;
    const { workflowName } = creation;
    if (creation.kind === 'created') {
      const { workflowUid } = creation;
      await moveRun(db, { runId: run.runId, to: 'submitted', ...(workflowUid === '' ? {} : { workflowUid }) });
      logger.info({ runId: run.runId, workflow: workflowName, attempts: run.attempts }, 'run submitted');
      return { state: 'submitted', reason: '', workflowName };
    }
    const verdict = this.#giveUpIfOld(run, creation);
    if (verdict.kind === 'refused') {
      await moveRun(db, { runId: run.runId, to: 'refused', reason: verdict.reason });
      logger.warn({ runId: run.runId, workflow: workflowName, reason: verdict.reason }, 'run refused');
      return { state: 'refused', reason: verdict.reason, workflowName };
    }
    const delayMs = Math.max(verdict.afterMs ?? 0, backoffMs(run.attempts, BACKOFF, this.#deps.random()));
    await postponeRun(db, run.runId, delayMs, verdict.reason);
    this.nudge(delayMs);
    logger.warn({ runId: run.runId, delayMs, attempts: run.attempts, reason: verdict.reason }, 'run postponed');
    return { state: 'queued', reason: verdict.reason, workflowName };
  }

  #giveUpIfOld(run: ClaimedRun, creation: Exclude<Creation, { kind: 'created' }>) {
    const age = this.#deps.clock.now().getTime() - run.acceptedAt.getTime();
    if (creation.kind === 'postponed' && age > GIVE_UP_AFTER_MS) {
      const reason = `gave up after ${run.attempts} tries in 24 hours: ${creation.reason}`;
      return { kind: 'refused', workflowName: creation.workflowName, reason } as const;
    }
    return creation;
  }
}
