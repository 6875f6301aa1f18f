import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { LogFields, Logger } from '../base/logger.ts';
import { traceField } from '../base/traceparent.ts';
import type { UrgentWork } from '../base/urgent-work.ts';
import { Worker } from '../base/worker.ts';
import type { DiscordClient } from '../clients/discord/client.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import {
  claimDueMessages,
  releaseMessage,
  type ClaimedMessage,
  type ClaimedMessages,
  type Release,
} from '../ledger/messages.ts';
import { createNotifyTelemetry } from './notify-telemetry.ts';
import { tell } from './tell.ts';

export interface NotifierDeps {
  readonly db: Database;
  readonly discord: DiscordClient;
  readonly sessions: Sessions;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Base of the Argo UI, for links; no slash at the end. */
  readonly uiUrl: string | undefined;
  /** Messages being told at a time. */
  readonly concurrency: number;
  /** In a rush of this, telling stands back. */
  readonly urgent: UrgentWork;
}

const NONE: ClaimedMessages = { messages: [], nextInMs: undefined };

/**
 * Brings each run's message to the run's present state: level-triggered, by claiming due rows, so that any number of
 * processes share the work and what a crash leaves behind is a row whose turn comes. What Discord does here never
 * changes what happens to a run.
 */
export class Notifier {
  readonly #deps: NotifierDeps;
  readonly #worker: Worker;
  readonly #telemetry = createNotifyTelemetry();
  readonly #inFlight = new Set<Promise<void>>();
  /** There may be more due messages than there was room for. */
  #full = false;

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
    this.#worker = new Worker({
      name: 'notify',
      logger: deps.logger,
      pass: () => this.runOnce(),
      failureDelayMs: 1000,
      spacingMs: () => deps.urgent.spacingMs,
    });
  }

  start(): void {
    this.#worker.start();
  }

  /** Stops claiming and waits for the requests under way; each ends by itself within its time-out. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    await Promise.allSettled(this.#inFlight);
  }

  /** Looks for due messages in `delayMs` at the latest. */
  nudge(delayMs = 0): void {
    this.#worker.nudge(delayMs);
  }

  /**
   * One pass: claims as many due messages as there is room for, and returns when to look again. Whoever makes a message
   * due nudges; what nobody announced is found by the sweep.
   */
  async runOnce(): Promise<number> {
    const pausedMs = this.#deps.discord.pausedForMs();
    if (pausedMs > 0) {
      return pausedMs;
    }
    const room = this.#deps.urgent.leave(this.#deps.concurrency - this.#inFlight.size);
    const { messages, nextInMs } = room > 0 ? await claimDueMessages(this.#deps.db, room) : NONE;
    for (const message of messages) {
      this.#begin(message);
    }
    this.#full = messages.length >= room;
    return this.#full && this.#inFlight.size < this.#deps.concurrency ? 0 : (nextInMs ?? Infinity);
  }

  /** Resolves when nothing is being told in this process. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
  }

  #begin(message: ClaimedMessage): void {
    const work = this.#tell(message).finally(() => {
      this.#inFlight.delete(work);
      if (this.#full) {
        this.nudge();
      }
    });
    this.#inFlight.add(work);
  }

  /** Never rejects: what went wrong is in the ledger, or the claim runs out by itself. */
  async #tell(message: ClaimedMessage): Promise<void> {
    const { db, logger } = this.#deps;
    const ids = idsOf(message);
    try {
      const release = await this.#telemetry.tell(message, () => tell(message, this.#deps));
      this.#report(message, release);
      const { ours, dueInMs } = await releaseMessage(db, message, release);
      if (!ours) {
        logger.warn(ids, 'telling took so long that another process had begun: it is told once more');
      }
      if (dueInMs !== undefined) {
        this.nudge(Math.max(0, dueInMs));
      }
    } catch (error) {
      logger.error({ ...ids, error: errorMessage(error) }, 'message could not be told or noted');
    }
  }

  #report(message: ClaimedMessage, release: Release): void {
    const { logger } = this.#deps;
    const facts = { ...idsOf(message), revision: message.run.revision, state: message.run.state };
    switch (release.outcome) {
      case 'told':
        logger.debug({ ...facts, messageId: release.messageId }, 'message told');
        break;
      case 'failed':
        logger.info({ ...facts, againInMs: release.againInMs, attempts: message.attempts + 1 }, 'message not told yet');
        break;
      case 'abandoned':
        if (release.reason !== message.abandoned) {
          logger.warn({ ...facts, reason: release.reason }, 'message cannot be told');
        }
        break;
      case 'postponed':
        break;
    }
  }
}

/** What each line about a message says of its run. */
function idsOf({ runId, run }: ClaimedMessage): LogFields {
  return { ...traceField(run.traceparent), runId };
}
