import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import type { DiscordError, DiscordErrorCode } from '../clients/discord/errors.ts';
import type { MessageAddress } from '../ledger/messages.ts';
import type { Route } from './address.ts';

/** What a failed request to Discord means for the message. */
export type Verdict =
  /** Try the next way at once, with what was learnt. */
  | { readonly kind: 'reroute'; readonly address: MessageAddress }
  | { readonly kind: 'retry'; readonly afterMs: number }
  | { readonly kind: 'abandon'; readonly reason: string };

export interface FailureFacts {
  readonly kind: Extract<Route['kind'], 'token' | 'edit' | 'post'>;
  readonly address: MessageAddress;
  readonly ageMs: number;
  /** Failed tries in a row, this one included. */
  readonly attempts: number;
  /** A number in [0, 1). */
  readonly random: number;
}

/** Discord or the way to it is at fault: soon, then rarer, and for as long as it takes. */
const PASSING: BackoffLimits = { firstMs: 1000, maxMs: 5 * 60_000 };
/** A person has to change something first: a permission, the bot's token. */
const STUBBORN: BackoffLimits = { firstMs: 60_000, maxMs: 60 * 60_000 };
/** With {@link STUBBORN} this is about a day; nobody waits for the message any longer. */
const MAX_STUBBORN_ATTEMPTS = 32;
/** The answer to an interaction is due in 3 seconds; until it has surely arrived or failed, the token opens nothing. */
const ANSWER_GRACE_MS = 15_000;
const ANSWER_RETRY_MS = 1000;
/** When Discord does not say how long old messages cannot be edited. */
const OLD_EDIT_MS = 60_000;

/** The token leads nowhere (any more): from here on it is the bot that speaks. */
const TOKEN_IS_DEAD: ReadonlySet<DiscordErrorCode> = new Set([
  'discord.token_expired',
  'discord.unknown_webhook',
  'discord.unknown_message',
  'discord.not_found',
  'discord.forbidden',
  'discord.unauthorized',
]);

/** There is no message that the bot could change: it needs a new one. */
const MESSAGE_IS_GONE: ReadonlySet<DiscordErrorCode> = new Set([
  'discord.unknown_message',
  'discord.foreign_message',
  'discord.thread_archived',
]);

/** Decides by the error's code and where it happened, never by words. */
export function judgeFailure(error: DiscordError, facts: FailureFacts): Verdict {
  if (error.retryable) {
    const floor = error.retryAfterMs ?? (error.code === 'discord.edit_limit' ? OLD_EDIT_MS : 0);
    return { kind: 'retry', afterMs: Math.max(floor, backoffMs(facts.attempts, PASSING, facts.random)) };
  }
  return facts.kind === 'token' ? judgeToken(error, facts) : judgeBot(error, facts);
}

function judgeToken(error: DiscordError, { address, ageMs }: FailureFacts): Verdict {
  if (error.code === 'discord.unknown_webhook' && ageMs < ANSWER_GRACE_MS) {
    return { kind: 'retry', afterMs: ANSWER_RETRY_MS };
  }
  if (TOKEN_IS_DEAD.has(error.code)) {
    const messageId = error.code === 'discord.unknown_message' ? '' : address.messageId;
    return { kind: 'reroute', address: { ...address, messageId, tokenRefused: true } };
  }
  return { kind: 'abandon', reason: error.message };
}

function judgeBot(error: DiscordError, { kind, address, attempts, random }: FailureFacts): Verdict {
  if (kind === 'edit' && MESSAGE_IS_GONE.has(error.code)) {
    return { kind: 'reroute', address: { ...address, messageId: '' } };
  }
  if (error.code === 'discord.unknown_channel' || error.code === 'discord.invalid') {
    return { kind: 'abandon', reason: error.message };
  }
  return attempts >= MAX_STUBBORN_ATTEMPTS
    ? { kind: 'abandon', reason: error.message }
    : { kind: 'retry', afterMs: backoffMs(attempts, STUBBORN, random) };
}
