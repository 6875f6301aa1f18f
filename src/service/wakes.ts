import type { Logger } from '../base/logger.ts';
import { Worker } from '../base/worker.ts';
import type { Database } from '../clients/postgres/database.ts';
import { isFinished } from '../domain/run-state.ts';
import { RENEWAL_MS } from '../follow/deps.ts';
import {
  APPROVAL_CHANNEL,
  dueWork,
  MESSAGE_CHANNEL,
  SUBMIT_CHANNEL,
  type Announcements,
  type DueWork,
} from '../ledger/due-work.ts';
import { claimLease, type LeaseAnswer, type LeaseRequest } from '../ledger/leases.ts';
import type { Observed } from '../ledger/observe-workflows.ts';

/*
 * Who wakes whom. Work waits in two queues of the ledger. Code that makes a row due announces it to every process by
 * NOTIFY, and nudges this process's submitter directly. A worker nudges itself for rows that it knows to be due later.
 * The sweep finds what was not announced.
 *
 *               NOTIFY facteur_submit               NOTIFY facteur_messages
 *   dispatch    run recorded or canceled            message recorded, run canceled
 *   submitter                                       run moved or postponed
 *   follower    run due, room below max_active      run moved
 *                         │                                  │
 *                         │ LISTEN                           │ LISTEN
 *                         v                                  v
 *                     submitter                          notifier        of every process
 *                         ^                                  ^
 *                         └───────────── nudge ──────────────┘
 *                                          │
 *   sweep       every 15 s, in every process that submits or notifies: when is the first row of each queue due?
 *                                          ^
 *   follower    its claim of the lease, every 15 s, asks that too; then the sweep need not
 *
 * Approvals are a third queue, with NOTIFY facteur_approvals: dispatch announces decisions, the follower new questions. They
 * wake what applies decisions (src/submit/decider.ts) and what asks for them (src/notify/asker.ts) in every process.
 *
 * What feeds /v1/runs/stream listens on both channels. Followers wake each other by NOTIFY facteur_lease, when one gives the
 * lease back (src/follow/lease-keeper.ts).
 */

interface WakeDeps {
  readonly db: Database;
  readonly logger: Logger;
  readonly announcements: Announcements;
  /** Absent where other processes submit. */
  readonly submitter: Nudged | undefined;
  /** Absent where other processes notify. */
  readonly notifier: Nudged | undefined;
  /** Workers for approvals in this process. */
  readonly approvals: readonly Nudged[];
  /** Streams the changes of all runs; absent in processes without HTTP. */
  readonly changes: Nudged | undefined;
  /** With a limit, a run that ends makes room for another. */
  readonly maxActive: number | undefined;
}

type Nudged = Pick<Worker, 'nudge'>;

/** How often a process queries the queues: as often as the lease is renewed, which returns the same data. */
const SWEEP_MS = RENEWAL_MS;
/** How late a renewal may be before the sweep queries on its own, in milliseconds. */
const LATE_MS = 1000;

/**
 * How long the sweep can wait before it queries, in milliseconds.
 *
 * @param heardMs how long ago the lease's claim returned the state of the queues
 */
export function sweepInMs(heardMs: number): number {
  return heardMs < SWEEP_MS ? SWEEP_MS - heardMs + LATE_MS : 0;
}

/** The wakes of one process. */
export class Wakes implements Pick<Announcements, 'runsDue' | 'messagesDue' | 'approvalsDue'> {
  readonly #deps: WakeDeps;
  readonly #sweeper: Worker;
  #heardAt = -Infinity;

  constructor(deps: WakeDeps) {
    this.#deps = deps;
    this.#sweeper = new Worker({
      name: 'sweep',
      logger: deps.logger,
      pass: () => this.#sweep(),
      failureDelayMs: 1000,
    });
  }

  /** Starts the sweep, if this process has workers to wake. */
  start(delayMs = 0): void {
    if (this.#deps.submitter !== undefined || this.#deps.notifier !== undefined) {
      this.#sweeper.start(delayMs);
    }
  }

  /** Listens for rows that other processes make due. @throws DatabaseError if it cannot */
  async listen(persistently: <T>(work: () => Promise<T>) => Promise<T>): Promise<void> {
    const { db, submitter, notifier, changes, approvals } = this.#deps;
    const channels: readonly (readonly [string, ...(Nudged | undefined)[]])[] = [
      [SUBMIT_CHANNEL, submitter, changes],
      [MESSAGE_CHANNEL, notifier, changes],
      [APPROVAL_CHANNEL, ...approvals],
    ];
    for (const [channel, ...listeners] of channels) {
      const woken = listeners.filter((worker) => worker !== undefined);
      const nudge = (): void => woken.forEach((worker) => worker.nudge());
      if (woken.length > 0) {
        await persistently(() => db.listen(channel, nudge));
        // Announcements from before the listener existed.
        nudge();
      }
    }
  }

  stop(): Promise<void> {
    return this.#sweeper.stop();
  }

  /** A run is due: nudges this process immediately, and the others in case this one has no free slot. */
  runsDue(): Promise<void> {
    this.#deps.submitter?.nudge();
    return this.#deps.announcements.runsDue();
  }

  messagesDue(): Promise<void> {
    return this.#deps.announcements.messagesDue();
  }

  /** An approval was decided, requested, or is due. */
  approvalsDue(): Promise<void> {
    this.#deps.approvals.forEach((worker) => worker.nudge());
    return this.#deps.announcements.approvalsDue();
  }

  /** Runs began or stopped waiting for people. */
  readonly waiting = (changes: readonly { readonly messageChanged: boolean }[]): void => {
    if (changes.some(({ messageChanged }) => messageChanged)) {
      void this.messagesDue();
    }
    void this.approvalsDue();
  };

  /** Runs changed because their workflows did. */
  readonly followed = (changes: readonly Observed[]): void => {
    if (changes.some(({ messageChanged }) => messageChanged)) {
      void this.messagesDue();
    }
    const makesRoom = this.#deps.maxActive !== undefined && changes.some(({ to }) => isFinished(to));
    if (makesRoom || changes.some(({ dueNow }) => dueNow)) {
      void this.runsDue();
    }
  };

  /** Claims the lease and sweeps in one statement: an idle process sends at most six statements a minute (`bench/idle.ts`). */
  readonly claimLease = async (request: LeaseRequest): Promise<LeaseAnswer> => {
    const answer = await claimLease(this.#deps.db, request);
    this.#heardAt = performance.now();
    this.#nudge(answer.dueWork);
    return answer;
  };

  async #sweep(): Promise<number> {
    const restMs = sweepInMs(performance.now() - this.#heardAt);
    if (restMs > 0) {
      return restMs;
    }
    this.#nudge(await dueWork(this.#deps.db));
    return SWEEP_MS;
  }

  #nudge({ runsInMs, messagesInMs, approvalsInMs }: DueWork): void {
    nudgeIn(runsInMs, this.#deps.submitter);
    nudgeIn(messagesInMs, this.#deps.notifier);
    this.#deps.approvals.forEach((worker) => nudgeIn(approvalsInMs, worker));
  }
}

/** Leaves work that is due after the next sweep to that sweep. */
function nudgeIn(inMs: number | null, worker: Nudged | undefined): void {
  if (inMs !== null && inMs <= SWEEP_MS) {
    worker?.nudge(inMs);
  }
}
