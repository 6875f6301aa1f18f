import type { IncomingHttpHeaders } from 'node:http';
import { DiscordError } from './errors.ts';

/** All requests with the bot token, on any route. Interaction tokens are not affected. */
const EVERYTHING = '*';
/** Discord requires clients with a bad token to stop; ten thousand refusals in ten minutes block the address. */
const UNAUTHORIZED_MS = 60_000;
/** More routes than are ever in use at once; beyond it, expired ones are removed. */
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

  /** @throws DiscordError `discord.rate_limited` */
  check(bucket: string, asBot: boolean): void {
    const all = asBot ? this.#left(EVERYTHING) : 0;
    const leftMs = Math.max(all, this.#left(bucket));
    if (leftMs > 0) {
      throw new DiscordError('discord.rate_limited', 'Discord rate limit: the wait is not over yet', {
        status: 429,
        retryAfterMs: leftMs,
        global: all > 0,
        heldBack: true,
      });
    }
  }

  /** From the headers of any response: an exhausted bucket is not used until it is full again. */
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
