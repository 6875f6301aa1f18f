import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import type { DiscordError, DiscordErrorCode } from '../clients/discord/errors.ts';
import type { MessageAddress } from '../ledger/messages.ts';
import type { Route } from './address.ts';

/** What a failed request to Discord means for the message. */
export type TellingVerdict =
  /** Try the next way immediately, with what was learned. */
  | { readonly kind: 'reroute'; readonly address: MessageAddress }
  | { readonly kind: 'retry'; readonly afterMs: number }
  | { readonly kind: 'abandon'; readonly reason: string };

export interface FailureFacts {
  readonly kind: Extract<Route['kind'], 'token' | 'edit' | 'post'>;
  readonly address: MessageAddress;
  /** The message is ephemeral, so only the token can change it. */
  readonly ephemeral: boolean;
  /** Of the message, or of what it asks. */
  readonly ageMs: number;
  /** Consecutive failed attempts, including this one. */
  readonly attempts: number;
  /** A number in [0, 1). */
  readonly random: number;
}

/** Discord or the connection is at fault: retry soon, then less often, without a limit. */
const PASSING: BackoffLimits = { firstMs: 1000, maxMs: 5 * 60_000 };
/** A person has to change something first: a permission, or the bot's token. */
const STUBBORN: BackoffLimits = { firstMs: 60_000, maxMs: 60 * 60_000 };
/** With {@link STUBBORN} this is about a day; nobody waits for the message any longer. */
const MAX_STUBBORN_ATTEMPTS = 32;
/** An outage of some hours takes as many attempts, and says nothing about a permission. */
export const MIN_STUBBORN_AGE_MS = 24 * 60 * 60_000;
/** An interaction is answered within 3 seconds; until the answer has arrived or failed, the token does not work. */
const ANSWER_GRACE_MS = 15_000;
const ANSWER_RETRY_MS = 1000;
/** When Discord does not say how long old messages cannot be edited. */
const OLD_EDIT_MS = 60_000;

/** The token does not work (any more): from here on the bot sends the message. */
const TOKEN_IS_DEAD: ReadonlySet<DiscordErrorCode> = new Set(['discord.token_expired', 'discord.unknown_webhook']);

/** No message can be changed: a new one is needed. */
const MESSAGE_IS_GONE: ReadonlySet<DiscordErrorCode> = new Set([
  'discord.unknown_message',
  'discord.foreign_message',
  'discord.thread_archived',
]);

/** Decides by the error's code and where it happened, never by words. */
export function judgeFailure(error: DiscordError, facts: FailureFacts): TellingVerdict {
  if (error.retryable) {
    return retryPassing(error, facts);
  }
  return facts.kind === 'token' ? judgeToken(error, facts) : judgeBot(error, facts);
}

function retryPassing(error: DiscordError, { attempts, random }: FailureFacts): TellingVerdict {
  const floor = error.retryAfterMs ?? (error.code === 'discord.edit_limit' ? OLD_EDIT_MS : 0);
  return { kind: 'retry', afterMs: Math.max(floor, backoffMs(attempts, PASSING, random)) };
}

/** The token is kept until Discord says that it is invalid, or it expires: some messages have nothing else. */
function judgeToken(error: DiscordError, facts: FailureFacts): TellingVerdict {
  const { address, ephemeral, ageMs } = facts;
  if (error.code === 'discord.unknown_webhook' && ageMs < ANSWER_GRACE_MS) {
    return { kind: 'retry', afterMs: ANSWER_RETRY_MS };
  }
  if (TOKEN_IS_DEAD.has(error.code)) {
    return { kind: 'reroute', address: { ...address, tokenRefused: true } };
  }
  if (error.code === 'discord.unknown_message' || (error.code === 'discord.thread_archived' && !ephemeral)) {
    return { kind: 'reroute', address: { ...address, messageId: '', tokenRefused: true } };
  }
  return isFinal(error) ? { kind: 'abandon', reason: error.message } : retryPassing(error, facts);
}

/** No change could make Discord accept this. */
function isFinal({ code }: DiscordError): boolean {
  return code === 'discord.unknown_channel' || code === 'discord.invalid';
}

/** About so many attempts fit into this time, each wait twice the last: for what does not count them. */
export function attemptsIn(ageMs: number): number {
  return 1 + Math.floor(Math.log2(1 + ageMs / STUBBORN.firstMs));
}

function judgeBot(error: DiscordError, facts: FailureFacts): TellingVerdict {
  const { kind, address, attempts, random } = facts;
  if (kind === 'edit' && MESSAGE_IS_GONE.has(error.code)) {
    return { kind: 'reroute', address: { ...address, messageId: '' } };
  }
  const isHopeless = attempts >= MAX_STUBBORN_ATTEMPTS && facts.ageMs >= MIN_STUBBORN_AGE_MS;
  return isFinal(error) || isHopeless
    ? { kind: 'abandon', reason: error.message }
    : { kind: 'retry', afterMs: backoffMs(attempts, STUBBORN, random) };
}
