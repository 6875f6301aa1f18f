import { createHash } from 'node:crypto';
import type { Clock } from '../../src/base/clock.ts';
import { DiscordFailure } from './discord-failure.ts';

/** Number of requests per window. */
export interface Limit {
  readonly count: number;
  readonly windowMs: number;
}

/** The bucket that a request counts toward. */
interface BucketKey {
  /** The route's name: requests of different routes never share a bucket here. */
  readonly route: string;
  /** The channel, webhook or application in the path: each has its own. */
  readonly major: string;
  readonly limit: Limit;
  /** Interaction endpoints do not count toward the bot's 50 requests per second. */
  readonly countsGlobally: boolean;
}

const GLOBAL: Limit = { count: 50, windowMs: 1000 };

interface Window {
  used: number;
  endsAtMs: number;
}

/** Discord's rate limits: one window per route and major parameter, and one for the whole bot. */
export class RateLimits {
  readonly #clock: Clock;
  readonly #enforced: boolean;
  readonly #windows = new Map<string, Window>();

  /** @param enforced whether requests over a limit are refused; otherwise the headers only report the limit */
  constructor(clock: Clock, enforced: boolean) {
    this.#clock = clock;
    this.#enforced = enforced;
  }

  /**
   * Counts the request.
   *
   * @returns the rate limit headers of the answer
   * @throws DiscordFailure 429
   */
  take({ route, major, limit, countsGlobally }: BucketKey): Readonly<Record<string, string>> {
    const now = this.#clock.now().getTime();
    if (countsGlobally) {
      const all = this.#window('global', GLOBAL, now);
      if (this.#enforced && all.used > GLOBAL.count) {
        throw rateLimited(all.endsAtMs - now, 'global');
      }
    }
    const window = this.#window(`${route} ${major}`, limit, now);
    const leftMs = window.endsAtMs - now;
    const headers = {
      'x-ratelimit-limit': String(limit.count),
      'x-ratelimit-remaining': String(Math.max(0, limit.count - window.used)),
      'x-ratelimit-reset': (window.endsAtMs / 1000).toFixed(3),
      'x-ratelimit-reset-after': (leftMs / 1000).toFixed(3),
      'x-ratelimit-bucket': createHash('sha256').update(route).digest('hex').slice(0, 32),
    };
    if (this.#enforced && window.used > limit.count) {
      throw rateLimited(leftMs, 'user', headers);
    }
    return headers;
  }

  #window(key: string, { windowMs }: Limit, now: number): Window {
    let window = this.#windows.get(key);
    if (window === undefined || window.endsAtMs <= now) {
      window = { used: 0, endsAtMs: now + windowMs };
      this.#windows.set(key, window);
    }
    window.used += 1;
    return window;
  }
}

/** A 429 in Discord's format: whole seconds in the header, exact ones in the body. */
export function rateLimited(
  retryAfterMs: number,
  scope: 'user' | 'global' | 'shared',
  headers: Readonly<Record<string, string>> = {},
): DiscordFailure {
  const message = scope === 'shared' ? 'The resource is being rate limited.' : 'You are being rate limited.';
  return new DiscordFailure(429, 0, message, {
    body: { retry_after: retryAfterMs / 1000, global: scope === 'global' },
    headers: {
      ...headers,
      'retry-after': String(Math.ceil(retryAfterMs / 1000)),
      'x-ratelimit-scope': scope,
      ...(scope === 'global' ? { 'x-ratelimit-global': 'true' } : {}),
    },
  });
}
