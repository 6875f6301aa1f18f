import type { IncomingHttpHeaders } from 'node:http';
import { DiscordError } from './errors.ts';

/** A limit that the bot's token shares, whatever the route. */
const EVERYTHING = '*';
/** Discord asks clients with a bad token to stop asking; ten thousand refusals in ten minutes close the door for the address. */
const UNAUTHORIZED_MS = 60_000;
/** More routes than anybody has at once; past it, those that are over go. */
const MAX_REMEMBERED = 1000;

/**
 * What Discord said about waiting. A request that would come too early is not sent: it fails here, as Discord's own
 * 429 would, with the time that is left.
 */
export class Pauses {
  /** Milliseconds, always growing. */
  readonly #now: () => number;
  readonly #until = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** How long nothing at all may be asked with the bot's token; 0 when it may. */
  pausedForMs(): number {
    return this.#left(EVERYTHING);
  }

  /** @throws DiscordError `discord.rate_limited` */
  check(bucket: string, asBot: boolean): void {
    const all = asBot ? this.#left(EVERYTHING) : 0;
    const leftMs = Math.max(all, this.#left(bucket));
    if (leftMs > 0) {
      const message = 'cannot ask Discord yet: it said to wait';
      throw new DiscordError('discord.rate_limited', message, { status: 429, retryAfterMs: leftMs, global: all > 0 });
    }
  }

  /** From any answer's headers: a bucket that is used up is left alone until it is full again. */
  learn(bucket: string, headers: IncomingHttpHeaders): void {
    const resetSeconds = Number(headers['x-ratelimit-reset-after']);
    if (headers['x-ratelimit-remaining'] === '0' && resetSeconds > 0) {
      this.#pause(bucket, resetSeconds * 1000);
    }
  }

  /** From a refusal. */
  obey(bucket: string, asBot: boolean, error: DiscordError): void {
    if (asBot && error.code === 'discord.unauthorized') {
      this.#pause(EVERYTHING, UNAUTHORIZED_MS);
    } else if (error.code === 'discord.rate_limited' && error.retryAfterMs !== undefined) {
      this.#pause(error.global ? EVERYTHING : bucket, error.retryAfterMs);
    }
  }

  #left(key: string): number {
    return Math.max(0, Math.ceil((this.#until.get(key) ?? 0) - this.#now()));
  }

  #pause(key: string, ms: number): void {
    if (this.#until.size >= MAX_REMEMBERED) {
      this.#forget();
    }
    this.#until.set(key, Math.max(this.#until.get(key) ?? 0, this.#now() + ms));
  }

  #forget(): void {
    const now = this.#now();
    for (const [key, until] of this.#until) {
      if (until <= now) {
        this.#until.delete(key);
      }
    }
  }
}
