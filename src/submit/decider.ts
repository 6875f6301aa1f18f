import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import type { Logger } from '../base/logger.ts';
import type { Timer } from '../base/timer.ts';
import { Worker } from '../base/worker.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import {
  CLAIM_SECONDS,
  claimDueDecisions,
  settleDecision,
  type ClaimedDecision,
  type Settlement,
} from '../ledger/approval-queue.ts';
import { DecideEvents } from './decide-events.ts';
import { CALL_TIMEOUT_MS, decideOnce } from './decide-once.ts';

interface DeciderDeps {
  readonly db: Queryable;
  readonly workflows: Pick<ArgoClient, 'getWorkflow' | 'patchWorkflow' | 'patchWorkflowIf'>;
  readonly logger: Logger;
  readonly timer: Pick<Timer, 'elapsedMs'>;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Maximum number of decisions in flight. */
  readonly concurrency: number;
  /** Called when a message needs an update. Must not throw. */
  readonly onChanged: () => void;
  /** Called when a decision is in its workflow or came too late. Must not throw. */
  readonly onSettled: () => void;
}

const BACKOFF: BackoffLimits = { firstMs: 500, maxMs: 30_000 };
const CLAIM_MS = CLAIM_SECONDS * 1000;

/**
 * Writes decisions into their workflows, retrying without limit: the row is the state of the retry, so neither a crash nor an
 * unreachable cluster loses one. Separate from creating workflows, whose limits do not apply.
 */
export class Decider {
  readonly #deps: DeciderDeps;
  readonly #worker: Worker;
  readonly #inFlight = new Set<Promise<void>>();
  /** The last pending write of each workflow. */
  readonly #last = new Map<string, Promise<void>>();
  readonly #events: DecideEvents;
  #stopping = false;

  constructor(deps: DeciderDeps) {
    this.#deps = deps;
    this.#events = new DecideEvents(deps.logger);
    this.#worker = new Worker({
      name: 'decide',
      logger: deps.logger,
      pass: () => this.#pass(),
      failureDelayMs: 1000,
    });
  }

  start(delayMs = 0): void {
    this.#worker.start(delayMs);
  }

  /**
   * Stops claiming and waits for the calls in flight; each ends within its timeout. Decisions that wait for their turn stay
   * claimed.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#worker.stop();
    await Promise.allSettled(this.#inFlight);
  }

  /** Looks for due decisions within `delayMs`. */
  nudge(delayMs = 0): void {
    this.#worker.nudge(delayMs);
  }

  async #pass(): Promise<number> {
    const room = this.#deps.concurrency - this.#inFlight.size;
    if (room <= 0) {
      return Infinity;
    }
    const expiresAt = this.#deps.timer.elapsedMs() + CLAIM_MS;
    const { decisions, nextInMs } = await claimDueDecisions(this.#deps.db, room);
    for (const decision of decisions) {
      const work = this.#inTurn(decision, expiresAt).finally(() => {
        this.#inFlight.delete(work);
        if (decisions.length === room) {
          this.nudge();
        }
      });
      this.#inFlight.add(work);
    }
    return nextInMs ?? Infinity;
  }

  /**
   * Writes to a workflow one at a time: the API server starts over when another write gets ahead, and concurrent writes to a
   * large workflow would time out. Never rejects.
   */
  #inTurn(decision: ClaimedDecision, expiresAt: number): Promise<void> {
    const { workflowUid: uid } = decision;
    const before = this.#last.get(uid) ?? Promise.resolve();
    const work = before.then(async () => {
      const leftMs = expiresAt - this.#deps.timer.elapsedMs();
      if (leftMs < CALL_TIMEOUT_MS) {
        // Another process may claim the decision before this write ends, and would write it as well.
        this.nudge(Math.max(0, leftMs));
      } else if (!this.#stopping) {
        await this.#apply(decision);
      }
      if (this.#last.get(uid) === work) {
        this.#last.delete(uid);
      }
    });
    this.#last.set(uid, work);
    return work;
  }

  /** Never rejects: the claim expires, and the decision is retried. */
  async #apply(decision: ClaimedDecision): Promise<void> {
    const { db, workflows, random, onChanged } = this.#deps;
    try {
      const result = await decideOnce(decision, workflows);
      const delayMs =
        result.kind === 'postponed' ? Math.max(result.afterMs, backoffMs(decision.attempts, BACKOFF, random())) : 0;
      const settlement: Settlement = result.kind === 'postponed' ? { ...result, delayMs } : result;
      const settled = await settleDecision(db, decision, settlement);
      if (settled === undefined) {
        // Another process has claimed the decision and reports it.
        return;
      }
      if (settled.messageChanged) {
        onChanged();
      }
      if (settlement.kind !== 'postponed') {
        this.#deps.onSettled();
      }
      this.#events.settled(decision, settlement);
      if (settlement.kind === 'postponed') {
        this.nudge(delayMs);
      }
    } catch (error) {
      this.#events.notRecorded(decision, error);
    }
  }
}
