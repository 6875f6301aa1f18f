import type { IncomingHttpHeaders } from 'node:http';
import { DiscordError } from './errors.ts';

/** All requests with the bot token, on any route. Interaction tokens are not affected. */
const EVERYTHING = '*';
/** Discord requires clients with a bad token to stop; ten thousand refusals in ten minutes block the address. */
const UNAUTHORIZED_MS = 60_000;
/** More routes than are ever in use at once; beyond it, expired ones are removed. */
const MAX_REMEMBERED = 1000;

/** The longest assumed length of a new window, until an answer gives the real one. */
const MAX_SPAN_MS = 60_000;
/** Assumed limit of a bucket before its first answer: most of Discord's buckets allow at least this many. */
const FIRST_LIMIT = 5;
const FIRST_SPAN_MS = 1000;
/** Requests that wait for a later window ask again after this at the latest: others may have given up. */
const MAX_TURN_MS = 30_000;

/** How many requests of a bucket Discord accepts, and until when. */
interface Window {
  limit: number;
  /** Remaining requests; those in flight are already subtracted. */
  left: number;
  until: number;
  spanMs: number;
  /** How many requests were held back in this window. */
  waiting: number;
  /** Started without an answer: its length is that of an earlier window, or a guess. */
  isAssumed: boolean;
}

/**
 * Tracks Discord's rate limits. A request that would come too early is not sent: it fails here like Discord's own 429, with the
 * remaining time.
 */
export class Pauses {
  /** Monotonic time in milliseconds. */
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

  /** Learns from the headers of any response: an exhausted bucket is not used until it resets. */
  learn(bucket: string, headers: IncomingHttpHeaders): void {
    const spanMs = Number(headers['x-ratelimit-reset-after']) * 1000;
    const [limit, left] = [Number(headers['x-ratelimit-limit']), Number(headers['x-ratelimit-remaining'])];
    const known = this.#windows.get(bucket);
    if (limit > 0 && left >= 0 && spanMs > 0) {
      this.#windows.set(bucket, windowAfter(known, { limit, left, spanMs }, this.#now()));
    } else if (known?.isAssumed === true) {
      // Discord reports no limit for this bucket.
      this.#windows.delete(bucket);
    }
  }

  /** Requests in flight count too: otherwise many at once would all be sent, and most refused. */
  #take(bucket: string): void {
    const now = this.#now();
    const window = this.#windows.get(bucket) ?? this.#begin(bucket, now);
    if (window.until <= now) {
      window.left = window.limit;
      window.until = now + window.spanMs;
      window.waiting = 0;
      window.isAssumed = true;
    }
    if (window.left === 0) {
      // Spread over later windows: if all came at the end of this one, most would be held back again.
      const turnMs = Math.floor(window.waiting / window.limit) * window.spanMs;
      window.waiting += 1;
      throw heldBack(Math.ceil(window.until - now) + Math.min(turnMs, MAX_TURN_MS), false);
    }
    window.left -= 1;
  }

  #begin(bucket: string, now: number): Window {
    this.#makeRoom();
    const [limit, spanMs] = [FIRST_LIMIT, FIRST_SPAN_MS];
    const window = { limit, left: limit, until: now + spanMs, spanMs, waiting: 0, isAssumed: true };
    this.#windows.set(bucket, window);
    return window;
  }

  /** Learns from a refusal. */
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
  const same = known !== undefined && known.until > now ? known : { left, spanMs, waiting: 0, isAssumed: false };
  // An assumed length no longer counts: the limit may have changed.
  const longestMs = same.isAssumed ? spanMs : Math.max(same.spanMs, spanMs);
  return {
    limit,
    left: Math.min(same.left, left),
    until: now + spanMs,
    spanMs: Math.min(MAX_SPAN_MS, longestMs),
    // Requests that waited for an assumed end ask again, and would count twice.
    waiting: same.isAssumed ? 0 : same.waiting,
    isAssumed: false,
  };
}

function heldBack(retryAfterMs: number, global: boolean): DiscordError {
  const message = 'Discord rate limit: the wait is not over yet';
  return new DiscordError('discord.rate_limited', message, { status: 429, retryAfterMs, global, heldBack: true });
}
