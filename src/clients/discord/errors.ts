import { FacteurError } from '../../base/errors.ts';

/**
 * Failures of Discord, by what a caller would do about them.
 *
 *   rate_limited       429, or held back here because of an earlier one: wait `retryAfterMs`
 *   edit_limit         too many edits of messages older than an hour (30046), or in an announcement channel (20022): wait longer
 *   token_expired      the interaction token has expired or was never valid (50027)
 *   unknown_webhook    the interaction has no answer yet, or was not answered in time (10015, 10062)
 *   unknown_message    deleted, or ephemeral and requested by the bot (10008)
 *   unknown_channel    deleted, or never existed (10003)
 *   foreign_message    somebody else's message (50005)
 *   thread_archived    messages cannot be edited (50083), or posted if it is locked (160005)
 *   command_limit      no more commands can be created: too many exist (30032), or too many were created today (30034)
 *   no_reply           the bot may post, but not reply: that requires reading the history of the channel (160002)
 *   forbidden          Discord refuses access or a permission (403)
 *   unauthorized       the bot's token is refused (401)
 *   not_found          another 404 of Discord's own
 *   invalid            Discord will never accept this body (400 and other 4xx)
 *   unavailable        5xx, or Discord reports a problem of its own
 *   timeout            no answer in time, or a proxy got none (408)
 *   connection         refused, reset, name not found, TLS
 *   bad_answer         not from Discord, regardless of the status: a proxy's page, or a truncated answer
 */
export type DiscordErrorCode =
  | 'discord.rate_limited'
  | 'discord.edit_limit'
  | 'discord.token_expired'
  | 'discord.unknown_webhook'
  | 'discord.unknown_message'
  | 'discord.unknown_channel'
  | 'discord.foreign_message'
  | 'discord.thread_archived'
  | 'discord.command_limit'
  | 'discord.no_reply'
  | 'discord.forbidden'
  | 'discord.unauthorized'
  | 'discord.not_found'
  | 'discord.invalid'
  | 'discord.unavailable'
  | 'discord.timeout'
  | 'discord.connection'
  | 'discord.bad_answer';

/** The same request, unchanged, may succeed later. */
const RETRYABLE: ReadonlySet<DiscordErrorCode> = new Set([
  'discord.rate_limited',
  'discord.edit_limit',
  'discord.unavailable',
  'discord.timeout',
  'discord.connection',
  'discord.bad_answer',
]);

export interface DiscordErrorFacts {
  /** HTTP status, or 0 when there was no answer. */
  readonly status?: number;
  /** Discord's own code, or 0. */
  readonly discordCode?: number;
  readonly retryAfterMs?: number | undefined;
  /** The limit applies to the whole bot. */
  readonly global?: boolean;
  /** The request was not sent, because Discord had asked to wait. */
  readonly heldBack?: boolean;
  readonly cause?: unknown;
}

/** A failed request to Discord. Its message contains no URL, because Discord's paths contain tokens. */
export class DiscordError extends FacteurError {
  declare readonly code: DiscordErrorCode;
  readonly status: number;
  readonly discordCode: number;
  readonly retryAfterMs: number | undefined;
  readonly global: boolean;
  readonly heldBack: boolean;

  constructor(code: DiscordErrorCode, message: string, facts: DiscordErrorFacts = {}) {
    super(code, message, {
      retryable: RETRYABLE.has(code),
      ...(facts.cause === undefined ? {} : { cause: facts.cause }),
    });
    this.status = facts.status ?? 0;
    this.discordCode = facts.discordCode ?? 0;
    this.retryAfterMs = facts.retryAfterMs;
    this.global = facts.global ?? false;
    this.heldBack = facts.heldBack ?? false;
  }
}
