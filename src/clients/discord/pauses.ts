import type { IncomingHttpHeaders } from 'node:http';
import { DiscordError } from './errors.ts';

/** All requests with the bot token, on any route. Interaction tokens are not affected. */
const EVERYTHING = '*';
/** Discord requires clients with a bad token to stop; ten thousand refusals in ten minutes block the address. */
const UNAUTHORIZED_MS = 60_000;
/** More routes than are ever in use at once; beyond it, expired ones are removed. */
const MAX_REMEMBERED = 1000;

/** A new window is assumed to be no longer than this, until an answer says so. */
const MAX_SPAN_MS = 60_000;

/** How many requests of a bucket Discord takes, and until when. */
interface Window {
  limit: number;
  /** Not counting requests that are under way. */
  left: number;
  until: number;
  spanMs: number;
  /** Begun without an answer, so that its length is that of an earlier one. */
  isAssumed: boolean;
}

/**
 * What Discord said about waiting. A request that would come too early is not sent: it fails here, as Discord's own
 * 429 would, with the time that is left.
 */
export class Pauses {
  /** Milliseconds, always growing. */
  readonly #now: () => number;
  readonly #until = new Map<string, number>();
  readonly #windows = new Map<string, Window>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** @throws DiscordError `discord.rate_limited` */
  check(bucket: string, asBot: boolean): void {
    const all = asBot ? this.#left(EVERYTHING) : 0;
    const leftMs = Math.max(all, this.#left(bucket));
    if (leftMs > 0) {
      throw heldBack(leftMs, all > 0);
    }
    this.#take(bucket);
  }

  /** From the headers of any response: an exhausted bucket is not used until it is full again. */
  learn(bucket: string, headers: IncomingHttpHeaders): void {
    const spanMs = Number(headers['x-ratelimit-reset-after']) * 1000;
    const [limit, left] = [Number(headers['x-ratelimit-limit']), Number(headers['x-ratelimit-remaining'])];
    if (left === 0 && spanMs > 0) {
      this.#pause(bucket, spanMs);
    }
    if (limit > 0 && left >= 0 && spanMs > 0) {
      this.#makeRoom();
      this.#windows.set(bucket, windowAfter(this.#windows.get(bucket), { limit, left, spanMs }, this.#now()));
    }
  }

  /** Requests that are under way count too: many at once would all be sent, and most of them refused. */
  #take(bucket: string): void {
    const window = this.#windows.get(bucket);
    if (window === undefined) {
      return;
    }
    const now = this.#now();
    if (window.until <= now) {
      window.left = window.limit;
      window.until = now + window.spanMs;
      window.isAssumed = true;
    }
    if (window.left === 0) {
      throw heldBack(Math.ceil(window.until - now), false);
    }
    window.left -= 1;
  }

  /** From a refusal. */
  obey(bucket: string, asBot: boolean, error: DiscordError): void {
    if (asBot && error.code === 'discord.unauthorized') {
      this.#pause(EVERYTHING, UNAUTHORIZED_MS);
    } else if (error.code === 'discord.rate_limited' && error.retryAfterMs !== undefined) {
      this.#pause(bucket, error.retryAfterMs);
      if (error.global) {
        this.#pause(EVERYTHING, error.retryAfterMs);
      }
    }
  }

  #left(key: string): number {
    return Math.max(0, Math.ceil((this.#until.get(key) ?? 0) - this.#now()));
  }

  #pause(key: string, ms: number): void {
    this.#makeRoom();
    this.#until.set(key, Math.max(this.#until.get(key) ?? 0, this.#now() + ms));
  }

  #makeRoom(): void {
    if (this.#until.size + this.#windows.size < MAX_REMEMBERED) {
      return;
    }
    const now = this.#now();
    for (const [key, until] of this.#until) {
      if (until <= now) {
        this.#until.delete(key);
      }
    }
    for (const [key, { until }] of this.#windows) {
      if (until <= now) {
        this.#windows.delete(key);
      }
    }
  }
}

function windowAfter(
  known: Window | undefined,
  { limit, left, spanMs }: Pick<Window, 'limit' | 'left' | 'spanMs'>,
  now: number,
): Window {
  const same = known !== undefined && known.until > now ? known : { left, spanMs, isAssumed: false };
  // An assumed length does not count any more: the limit may have been changed.
  const longestMs = same.isAssumed ? spanMs : Math.max(same.spanMs, spanMs);
  return {
    limit,
    left: Math.min(same.left, left),
    until: now + spanMs,
    spanMs: Math.min(MAX_SPAN_MS, longestMs),
    isAssumed: false,
  };
}

function heldBack(retryAfterMs: number, global: boolean): DiscordError {
  const message = 'Discord rate limit: the wait is not over yet';
  return new DiscordError('discord.rate_limited', message, { status: 429, retryAfterMs, global, heldBack: true });
}
