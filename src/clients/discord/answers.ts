import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../../base/json.ts';
import { DiscordError, type DiscordErrorCode } from './errors.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const BY_CODE: Readonly<Record<number, DiscordErrorCode>> = {
  10_003: 'discord.unknown_channel',
  10_008: 'discord.unknown_message',
  10_015: 'discord.unknown_webhook',
  10_062: 'discord.unknown_webhook',
  30_046: 'discord.edit_limit',
  50_005: 'discord.foreign_message',
  50_027: 'discord.token_expired',
  50_083: 'discord.thread_archived',
};

const BY_STATUS: Readonly<Record<number, DiscordErrorCode>> = {
  401: 'discord.unauthorized',
  403: 'discord.forbidden',
  404: 'discord.not_found',
  429: 'discord.rate_limited',
};

/** A longer wait than this is an odd page's, not Discord's. */
const MAX_RETRY_AFTER_MS = 3_600_000;
const MAX_DETAILS = 300;

interface ErrorBody {
  readonly message?: unknown;
  readonly code?: unknown;
  readonly retry_after?: unknown;
  readonly global?: unknown;
  readonly errors?: unknown;
}

/** The typed error for an answer that is not a success; `what` completes «cannot …». */
export function errorFromAnswer(what: string, { status, headers, body }: Answer): DiscordError {
  const parsed = parseError(body);
  const discordCode = typeof parsed.code === 'number' ? parsed.code : 0;
  const said = typeof parsed.message === 'string' ? parsed.message : 'no reason given';
  const fields = describeFields(parsed.errors);
  const message = `cannot ${what}: ${said}${fields === '' ? '' : `: ${fields}`} (HTTP ${status}, code ${discordCode})`;
  return new DiscordError(BY_CODE[discordCode] ?? codeOfStatus(status), message, {
    status,
    discordCode,
    retryAfterMs: retryAfterMs(headers, parsed),
    global: isGlobal(status, headers, parsed),
  });
}

/** A 429 in words that are not Discord's comes from the front of it, which has closed the door for the whole address. */
function isGlobal(status: number, headers: IncomingHttpHeaders, body: ErrorBody): boolean {
  const fromTheFront = status === 429 && body.message === undefined;
  return fromTheFront || body.global === true || headers['x-ratelimit-global'] === 'true';
}

function codeOfStatus(status: number): DiscordErrorCode {
  return BY_STATUS[status] ?? (status >= 500 ? 'discord.unavailable' : 'discord.invalid');
}

/** The longer of what the header (whole seconds) and the body (exact) say, so that no retry comes a moment early. */
function retryAfterMs(headers: IncomingHttpHeaders, { retry_after: inBody }: ErrorBody): number | undefined {
  const inHeader = headers['retry-after'];
  const seconds = [inBody, inHeader === undefined ? undefined : Number(inHeader)].filter(
    (value): value is number => typeof value === 'number' && value >= 0 && value < Infinity,
  );
  return seconds.length === 0 ? undefined : Math.min(Math.ceil(Math.max(...seconds) * 1000), MAX_RETRY_AFTER_MS);
}

function parseError(body: string): ErrorBody {
  try {
    const value: unknown = JSON.parse(body);
    return isRecord(value) ? value : {};
  } catch {
    // A proxy's page: the HTTP status is all that is known.
    return {};
  }
}

/** `embeds.0.title: Must be 256 or fewer in length.` for each field at fault, in one bounded line. */
function describeFields(errors: unknown): string {
  const found: string[] = [];
  collect(errors, [], found);
  const line = found.join('; ').replaceAll(/[\s\p{Cc}]+/gu, ' ');
  return line.length <= MAX_DETAILS ? line : `${line.slice(0, MAX_DETAILS - 1)}…`;
}

function collect(node: unknown, path: readonly string[], found: string[]): void {
  if (!isRecord(node)) {
    return;
  }
  for (const [key, value] of Object.entries(node)) {
    if (key !== '_errors') {
      collect(value, [...path, key], found);
    } else if (Array.isArray(value)) {
      const texts = (value as { readonly message?: unknown }[]).map(({ message }) => String(message));
      found.push(`${path.join('.')}: ${texts.join(', ')}`);
    }
  }
}
