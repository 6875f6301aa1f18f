import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import { errorMessage, FacteurError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { Worker } from '../base/worker.ts';
import { DiscordError } from '../clients/discord/errors.ts';
import type { DiscordClient } from '../clients/discord/client.ts';
import { shows } from '../clients/discord/message.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import { approversOf, type Approvers } from '../domain/approval-rules.ts';
import type { RuleSource } from '../domain/command-rules.ts';
import { claimDueAsks, releaseAsk, type ClaimedAsk } from '../ledger/approval-asks.ts';
import { attemptsIn, judgeFailure, MIN_STUBBORN_AGE_MS } from './judge-failure.ts';
import { renderAsk } from './render-ask.ts';

interface AskerDeps extends RuleSource {
  readonly db: Queryable;
  readonly discord: Pick<DiscordClient, 'postMessage' | 'editMessage'>;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
}

const ASKS_AT_A_TIME = 8;
/** For replacing a deleted message, and while the commands have not been read yet. */
const SOON: BackoffLimits = { firstMs: 1000, maxMs: 10_000 };
/** The "past few minutes" in which Discord recognizes a nonce. */
const NONCE_MS = 5 * 60_000;
/**
 * Each attempt doubles the wait, up to half a minute for transient failures and half an hour for those that a person must fix.
 */
const MAX_ATTEMPTS = 6;
const NOBODY: Approvers = { roles: [], users: [] };

type AskRelease = Parameters<typeof releaseAsk>[2];

/**
 * Asks for approvals: one new message each, which pings the approvers once, since an edit of the run's message notifies nobody.
 * After the decision, the message says who decided.
 */
export class Asker {
  readonly #deps: AskerDeps;
  readonly #worker: Worker;

  constructor(deps: AskerDeps) {
    this.#deps = deps;
    this.#worker = new Worker({
      name: 'ask',
      logger: deps.logger,
      pass: () => this.#pass(),
      failureDelayMs: 1000,
    });
  }

  start(delayMs = 0): void {
    this.#worker.start(delayMs);
  }

  /** Stops claiming and waits for the requests in flight. */
  stop(): Promise<void> {
    return this.#worker.stop();
  }

  /** Looks for due messages within `delayMs`. */
  nudge(delayMs = 0): void {
    this.#worker.nudge(delayMs);
  }

  async #pass(): Promise<number> {
    const { asks, nextInMs } = await claimDueAsks(this.#deps.db, ASKS_AT_A_TIME);
    await Promise.all(asks.map((ask) => this.#ask(ask)));
    return asks.length === ASKS_AT_A_TIME ? 0 : (nextInMs ?? Infinity);
  }

  async #ask(ask: ClaimedAsk): Promise<void> {
    const { db, logger, random } = this.#deps;
    try {
      const release = await this.#send(ask);
      await releaseAsk(db, ask, release);
      if (release.retryInMs !== undefined) {
        this.nudge(release.retryInMs);
      }
    } catch (error) {
      const { runId, node } = ask;
      const release = releaseAfter(error, ask, random());
      const { retryInMs } = release;
      const code = error instanceof FacteurError ? error.code : undefined;
      logger.warn({ runId, node, code, error: errorMessage(error), retryInMs }, 'could not ask for an approval');
      await releaseAsk(db, ask, release);
      this.nudge(retryInMs);
    }
  }

  /**
   * @returns with the message id, or an empty id if there is nobody to ask
   * @throws FacteurError `commands.unread` while the approvers are unknown
   */
  async #send(ask: ClaimedAsk): Promise<AskRelease> {
    const { discord, rules } = this.#deps;
    const approvers = ask.state === 'waiting' ? approversOf(ask.rules, ask.command, rules()) : NOBODY;
    const body = renderAsk(ask, approvers);
    if (ask.messageId !== '') {
      return { messageId: (await discord.editMessage(ask.channelId, ask.messageId, body)).id, retryInMs: undefined };
    }
    if (approvers.roles.length + approvers.users.length === 0 && !mayBePosted(ask)) {
      return { messageId: '', retryInMs: undefined };
    }
    // Identical when a post whose response was lost is retried, so Discord posts it once.
    const nonce = `ask${ask.key}`;
    const sent = await discord.postMessage(ask.channelId, { ...body, nonce, enforce_nonce: true });
    return { messageId: sent.id, retryInMs: shows(sent, body) ? undefined : 0 };
  }
}

/** Whether a message with buttons may exist although the approval was decided since: posting again finds it. */
function mayBePosted({ state, fence, ageMs }: ClaimedAsk): boolean {
  return state !== 'waiting' && fence > 1 && ageMs < NONCE_MS;
}

/** A workflow waits for the answer: retry while the failure is transient or a person can fix it. */
function releaseAfter(error: unknown, ask: ClaimedAsk, random: number): AskRelease {
  const { messageId, fence } = ask;
  const soonMs = backoffMs(fence, SOON, random);
  if (error instanceof FacteurError && error.code === 'commands.unread') {
    return { messageId, retryInMs: soonMs };
  }
  if (!(error instanceof DiscordError)) {
    throw error;
  }
  return error.heldBack
    ? { messageId, retryInMs: error.retryAfterMs ?? soonMs }
    : releaseAfterTry(error, ask, { random, soonMs });
}

function releaseAfterTry(
  error: DiscordError,
  { messageId, state, ageMs }: ClaimedAsk,
  { random, soonMs }: { readonly random: number; readonly soonMs: number },
): AskRelease {
  const address = { messageId, tokenRefused: true, posts: 0 };
  const kind = messageId === '' ? 'post' : 'edit';
  // A claim is not a failure: most claims only waited, or succeeded. So attempts are estimated from the age, capped below the
  // number at which judgeFailure gives up.
  const attempts = Math.min(MAX_ATTEMPTS, attemptsIn(ageMs));
  const verdict = judgeFailure(error, { kind, address, ephemeral: false, ageMs, attempts, random });
  switch (verdict.kind) {
    case 'reroute':
      // The person who deleted the question does not need the answer.
      return { messageId: verdict.address.messageId, retryInMs: state === 'waiting' ? soonMs : undefined };
    case 'retry': {
      // By now, nobody needs to see the decision.
      const isLate = !error.retryable && state !== 'waiting' && ageMs >= MIN_STUBBORN_AGE_MS;
      return { messageId, retryInMs: isLate ? undefined : verdict.afterMs };
    }
    case 'abandon':
      return { messageId, retryInMs: undefined };
  }
}
