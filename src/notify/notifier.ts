import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { UrgentWork } from '../base/urgent-work.ts';
import { Worker } from '../base/worker.ts';
import type { DiscordClient } from '../clients/discord/client.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import { claimDueMessages, releaseMessage, type ClaimedMessage, type ClaimedMessages } from '../ledger/messages.ts';
import { NotifyEvents } from './notify-events.ts';
import { tell } from './tell.ts';
import { typicalDuration } from '../ledger/typical-duration.ts';
import { UsualTimes } from './usual-times.ts';

interface NotifierDeps {
  readonly db: Database;
  readonly discord: DiscordClient;
  readonly sessions: Pick<Sessions, 'tokenOf' | 'status'>;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Maximum number of live workflows at a time across all processes; undefined for no limit. */
  readonly maxActive: number | undefined;
  /** Base URL of the Argo UI, for links; no trailing slash. */
  readonly uiUrl: string | undefined;
  /** Reflections can be reviewed in Discord. */
  readonly reviewed: boolean;
  /** Maximum number of messages in flight. */
  readonly concurrency: number;
  /** During a rush of this work, notifications slow down. */
  readonly urgent: UrgentWork;
}

const NONE: ClaimedMessages = { messages: [], nextInMs: undefined };

/**
 * Updates each run's message to the run's current state. Level-triggered: it claims due rows, so any number of
 * processes share the work, and after a crash the row is still due. Nothing in Discord changes a run.
 */
export class Notifier {
  readonly #deps: NotifierDeps;
  readonly #worker: Worker;
  readonly #events: NotifyEvents;
  readonly #usual: UsualTimes;
  readonly #inFlight = new Set<Promise<void>>();
  /** The time of the next scheduled pass, by `performance.now()`. */
  #lookAt = 0;
  /** The last pass filled all slots, so more messages may be due. */
  #full = false;

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
    this.#events = new NotifyEvents(deps.logger);
    this.#usual = new UsualTimes((command) => typicalDuration(deps.db, command), deps.clock);
    this.#worker = new Worker({
      name: 'notify',
      logger: deps.logger,
      pass: () => this.runOnce(),
      failureDelayMs: 1000,
      spacingMs: () => deps.urgent.spacingMs,
    });
  }

  start(delayMs = 0): void {
    this.#worker.start(delayMs);
  }

  /** Stops claiming and waits for the requests in flight; each ends within its timeout. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    await Promise.allSettled(this.#inFlight);
  }

  /** Looks for due messages within `delayMs`. */
  nudge(delayMs = 0): void {
    this.#worker.nudge(delayMs);
  }

  /**
   * One pass: claims as many due messages as there are free slots, and returns when to look again. Whatever makes a message due
   * nudges the worker; the sweep finds messages that were not announced.
   */
  async runOnce(): Promise<number> {
    const room = this.#deps.urgent.leave(this.#deps.concurrency - this.#inFlight.size);
    const { messages, nextInMs } = room > 0 ? await claimDueMessages(this.#deps.db, room, this.#deps.maxActive) : NONE;
    for (const message of messages) {
      this.#begin(message);
    }
    this.#full = messages.length >= room;
    return this.#full && this.#inFlight.size < this.#deps.concurrency ? 0 : (nextInMs ?? Infinity);
  }

  /** Resolves when no message is in flight in this process. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#inFlight);
  }

  /** One pass serves many messages, including those that become due after this call. */
  #lookIn(delayMs: number): void {
    const now = performance.now();
    if (this.#lookAt <= now || this.#lookAt > now + delayMs) {
      this.#lookAt = now + delayMs;
      this.nudge(delayMs);
    }
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

  /** Never rejects: the failure is recorded in the ledger, or the claim expires. */
  async #tell(message: ClaimedMessage): Promise<void> {
    const { db } = this.#deps;
    try {
      const { release } = await this.#events.attempt(message, () =>
        tell(message, { ...this.#deps, usualMs: (command) => this.#usual.of(command) }),
      );
      const { ours, dueInMs, othersDue } = await releaseMessage(db, message, release);
      if (!ours) {
        this.#events.messageOvertaken(message);
      }
      if (othersDue) {
        this.nudge();
      }
      if (dueInMs !== undefined) {
        this.#lookIn(Math.max(0, dueInMs));
      }
    } catch (error) {
      this.#events.messageFailed(message, error);
    }
  }
}
