import type { IncomingHttpHeaders } from 'node:http';
import { isRecord } from '../../base/json.ts';
import { firstHeader } from '../first-header.ts';
import { DiscordError, type DiscordErrorCode } from './errors.ts';

interface DiscordAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const BY_CODE: Readonly<Record<number, DiscordErrorCode>> = {
  10_003: 'discord.unknown_channel',
  10_008: 'discord.unknown_message',
  10_015: 'discord.unknown_webhook',
  10_062: 'discord.unknown_webhook',
  20_022: 'discord.edit_limit',
  30_032: 'discord.command_limit',
  30_034: 'discord.command_limit',
  30_046: 'discord.edit_limit',
  // Temporarily disabled (twice), blocked by Discord's own edge, and overloaded.
  40_004: 'discord.unavailable',
  40_006: 'discord.unavailable',
  40_333: 'discord.unavailable',
  130_000: 'discord.unavailable',
  50_005: 'discord.foreign_message',
  50_027: 'discord.token_expired',
  50_083: 'discord.thread_archived',
  160_002: 'discord.no_reply',
  160_005: 'discord.thread_archived',
};

/** Discord's own refusals with a code that says no more than the status. */
const BY_STATUS: Readonly<Record<number, DiscordErrorCode>> = {
  401: 'discord.unauthorized',
  403: 'discord.forbidden',
  404: 'discord.not_found',
};

/** Regardless of which server sent it. */
const PASSING: Readonly<Record<number, DiscordErrorCode>> = { 408: 'discord.timeout', 429: 'discord.rate_limited' };

/** Discord's codes begin here. Below are 0, a general error, and codes of gateways. */
const FIRST_DISCORD_CODE = 10_001;

/** Discord never asks for a longer wait than this. */
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
export function discordErrorOf(what: string, { status, headers, body }: DiscordAnswer): DiscordError {
  const parsed = parseError(body);
  const discordCode = typeof parsed.code === 'number' ? parsed.code : 0;
  const said = typeof parsed.message === 'string' ? parsed.message : 'no reason given';
  const fields = describeFields(parsed.errors);
  const message = `cannot ${what}: ${said}${fields === '' ? '' : `: ${fields}`} (HTTP ${status}, code ${discordCode})`;
  return new DiscordError(codeOf(status, parsed), message, {
    status,
    discordCode,
    retryAfterMs: retryAfterMs(headers, parsed),
    global: isGlobal(status, headers, parsed),
  });
}

/**
 * A 429 without a scope comes from Discord's edge, which has blocked the whole address: as a page, or as JSON with the code 0
 * («You are being blocked from accessing our API temporarily …»).
 */
function isGlobal(status: number, headers: IncomingHttpHeaders, body: ErrorBody): boolean {
  const fromTheFront = status === 429 && typeof body.global !== 'boolean' && !isDiscords(status, body);
  return fromTheFront || body.global === true || headers['x-ratelimit-global'] === 'true';
}

/**
 * A refusal is final only if it comes from Discord's API. Its edge, and often a proxy, are in between; when they fail they answer
 * with any status and a page of their own.
 */
function codeOf(status: number, body: ErrorBody): DiscordErrorCode {
  const known = typeof body.code === 'number' ? BY_CODE[body.code] : undefined;
  const passing = status >= 500 ? 'discord.unavailable' : PASSING[status];
  const final = isDiscords(status, body) ? (BY_STATUS[status] ?? 'discord.invalid') : 'discord.bad_answer';
  return known ?? passing ?? final;
}

/** Whether the answer is JSON with one of Discord's codes, or its one refusal without a code: an unknown bot token. */
function isDiscords(status: number, { code, message }: ErrorBody): boolean {
  const badToken = status === 401 && code === 0 && typeof message === 'string';
  return badToken || (typeof code === 'number' && code >= FIRST_DISCORD_CODE);
}

/** The longer of the header (whole seconds) and the body (exact), so that no retry comes slightly early. */
function retryAfterMs(headers: IncomingHttpHeaders, { retry_after: inBody }: ErrorBody): number | undefined {
  const inHeader = firstHeader(headers, 'retry-after');
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
    // A proxy's page: only the HTTP status is known.
    return {};
  }
}

/** `embeds.0.title: Must be 256 or fewer in length.` for each invalid field, in one bounded line. */
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
