import type { JsonObject } from '../cluster/objects.ts';

/** An error in Discord's format: a code of its own besides the HTTP status. */
export class DiscordFailure extends Error {
  readonly status: number;
  readonly code: number;
  readonly body: JsonObject;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, code: number, message: string, extra: FailureExtra = {}) {
    super(message);
    this.name = 'DiscordFailure';
    this.status = status;
    this.code = code;
    // A plain rate limit is the only answer without a code.
    this.body = { message, ...extra.body, ...(status === 429 && code === 0 ? {} : { code }) };
    this.headers = extra.headers ?? {};
  }
}

/** Additional fields of some answers. */
interface FailureExtra {
  readonly body?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

const UNKNOWN = {
  channel: [10_003, 'Unknown Channel'],
  message: [10_008, 'Unknown Message'],
  webhook: [10_015, 'Unknown Webhook'],
  interaction: [10_062, 'Unknown interaction'],
  command: [10_063, 'Unknown application command'],
} as const;

export function unknown(what: keyof typeof UNKNOWN): DiscordFailure {
  const [code, message] = UNKNOWN[what];
  return new DiscordFailure(404, code, message);
}

/** An error without a code of its own: no valid bot token, an unknown path, and the like. */
export function plain(status: 401 | 404 | 405 | 500): DiscordFailure {
  const texts = { 401: 'Unauthorized', 404: 'Not Found', 405: 'Method Not Allowed', 500: 'Internal Server Error' };
  return new DiscordFailure(status, 0, `${status}: ${texts[status]}`);
}

/** An interaction token that is invalid or older than 15 minutes. */
export function invalidWebhookToken(): DiscordFailure {
  return new DiscordFailure(401, 50_027, 'Invalid Webhook Token');
}

export function alreadyAcknowledged(): DiscordFailure {
  return new DiscordFailure(400, 40_060, 'Interaction has already been acknowledged.');
}

/** The bot cannot see the channel. */
export function missingAccess(): DiscordFailure {
  return new DiscordFailure(403, 50_001, 'Missing Access');
}

/** The bot sees the channel but may not do this there. */
export function missingPermissions(): DiscordFailure {
  return new DiscordFailure(403, 50_013, 'Missing Permissions');
}

/** The bot may post in the channel but not reply. */
export function missingHistory(): DiscordFailure {
  return new DiscordFailure(403, 160_002, 'Cannot reply without permission to read message history');
}

export function emptyMessage(): DiscordFailure {
  return new DiscordFailure(400, 50_006, 'Cannot send an empty message');
}

export function archivedThread(): DiscordFailure {
  return new DiscordFailure(400, 50_083, 'Thread is archived');
}

export function foreignApplication(): DiscordFailure {
  const message = 'You are not authorized to perform this action on this application';
  return new DiscordFailure(403, 20_012, message);
}

export function tooManyCommands(limit: number): DiscordFailure {
  return new DiscordFailure(400, 30_032, `Maximum number of application commands reached (${limit})`);
}

export function tooManyCreations(limit: number): DiscordFailure {
  return new DiscordFailure(400, 30_034, `Max number of daily application command creates has been reached (${limit})`);
}

export function invalidJson(): DiscordFailure {
  return new DiscordFailure(400, 50_109, 'The request body contains invalid JSON.');
}

export function bodyTooLarge(): DiscordFailure {
  return new DiscordFailure(413, 40_005, 'Request entity too large');
}

/** `errors` is the tree from {@link FormErrors}. */
export function invalidForm(errors: JsonObject): DiscordFailure {
  return new DiscordFailure(400, 50_035, 'Invalid Form Body', { body: { errors } });
}

/** Edits of messages that are older than an hour have their own limit and error code. */
export function tooManyOldEdits(retryAfterMs: number): DiscordFailure {
  const message = 'Maximum number of edits to messages older than 1 hour reached. Try again later.';
  return new DiscordFailure(429, 30_046, message, {
    body: { retry_after: retryAfterMs / 1000, global: false },
    headers: { 'retry-after': String(Math.ceil(retryAfterMs / 1000)), 'x-ratelimit-scope': 'user' },
  });
}
