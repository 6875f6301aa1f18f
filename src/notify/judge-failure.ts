import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import type { DiscordError, DiscordErrorCode } from '../clients/discord/errors.ts';
import type { MessageAddress } from '../ledger/messages.ts';
import type { Route } from './address.ts';

/** The consequence of a failed Discord request for the message. */
export type TellingVerdict =
  /** Try the next route immediately, with the updated address. */
  | { readonly kind: 'reroute'; readonly address: MessageAddress }
  | { readonly kind: 'retry'; readonly afterMs: number }
  | { readonly kind: 'abandon'; readonly reason: string };

export interface FailureFacts {
  readonly kind: Extract<Route['kind'], 'token' | 'edit' | 'post'>;
  readonly address: MessageAddress;
  /** The message is ephemeral, so only the token can change it. */
  readonly ephemeral: boolean;
  /** Age of the message, or of the approval it asks for. */
  readonly ageMs: number;
  /** Consecutive failed attempts, including this one. */
  readonly attempts: number;
  /** A number in [0, 1). */
  readonly random: number;
}

/** Transient failures of Discord or the connection: retry soon, then less often, without a limit. */
const PASSING: BackoffLimits = { firstMs: 1000, maxMs: 5 * 60_000 };
/** Failures that a person must fix first: a permission, or the bot's token. */
const STUBBORN: BackoffLimits = { firstMs: 60_000, maxMs: 60 * 60_000 };
/** With {@link STUBBORN} this is about a day; after that, nobody needs the message. */
const MAX_STUBBORN_ATTEMPTS = 32;
/** An outage of some hours takes as many attempts without saying anything about permissions. */
export const MIN_STUBBORN_AGE_MS = 24 * 60 * 60_000;
/** An interaction is answered within 3 seconds; the token does not work until that response has arrived or failed. */
const ANSWER_GRACE_MS = 15_000;
const ANSWER_RETRY_MS = 1000;
/** The delay when Discord does not say how long old messages cannot be edited. */
const OLD_EDIT_MS = 60_000;

/** The token does not work, or no longer: from now on the bot sends the message. */
const TOKEN_IS_DEAD: ReadonlySet<DiscordErrorCode> = new Set(['discord.token_expired', 'discord.unknown_webhook']);

/** The message cannot be edited: a new one is needed. */
const MESSAGE_IS_GONE: ReadonlySet<DiscordErrorCode> = new Set([
  'discord.unknown_message',
  'discord.foreign_message',
  'discord.thread_archived',
]);

/** Decides by the error's code and the route, never by the wording. */
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

/** The token is used until Discord rejects it or it expires: some messages have no other route. */
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

/** No change can make Discord accept this. */
function isFinal({ code }: DiscordError): boolean {
  return code === 'discord.unknown_channel' || code === 'discord.invalid';
}

/** Estimates the attempts that fit into this time if each wait doubles, for callers that do not count them. */
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
