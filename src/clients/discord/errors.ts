import { FacteurError } from '../../base/errors.ts';

/**
 * What can go wrong with Discord, by what a caller would do about it.
 *
 *   rate_limited       429, or held back here because Discord said to wait: wait `retryAfterMs`
 *   edit_limit         too many edits of messages older than an hour (30046): wait longer
 *   token_expired      the interaction token has run out or was never one (50027)
 *   unknown_webhook    the interaction has no answer yet, or never got one in time (10015, 10062)
 *   unknown_message    deleted, or ephemeral and asked for by the bot (10008)
 *   unknown_channel    deleted, or never there (10003)
 *   foreign_message    somebody else's message (50005)
 *   thread_archived    nobody can edit in there (50083)
 *   forbidden          the bot lacks a permission or access (403)
 *   unauthorized       the bot's token is refused (401)
 *   not_found          another 404
 *   invalid            Discord will never take this body (400 and other 4xx)
 *   unavailable        5xx
 *   timeout            no answer in time
 *   connection         refused, reset, name not found, TLS
 *   bad_answer         a success without the JSON that was due: a proxy's page, or half of it
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
  /** Discord's own number, or 0. */
  readonly discordCode?: number;
  readonly retryAfterMs?: number | undefined;
  /** The limit is the whole bot's. */
  readonly global?: boolean;
  readonly cause?: unknown;
}

/** An exchange with Discord that failed. Its message holds no URL, because tokens stand in Discord's paths. */
export class DiscordError extends FacteurError {
  declare readonly code: DiscordErrorCode;
  readonly status: number;
  readonly discordCode: number;
  readonly retryAfterMs: number | undefined;
  readonly global: boolean;

  constructor(code: DiscordErrorCode, message: string, facts: DiscordErrorFacts = {}) {
    super(code, message, {
      retryable: RETRYABLE.has(code),
      ...(facts.cause === undefined ? {} : { cause: facts.cause }),
    });
    this.status = facts.status ?? 0;
    this.discordCode = facts.discordCode ?? 0;
    this.retryAfterMs = facts.retryAfterMs;
    this.global = facts.global ?? false;
  }
}
