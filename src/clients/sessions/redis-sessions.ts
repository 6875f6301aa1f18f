import type { Redis } from 'ioredis';
import type { Clock } from '../../base/clock.ts';
import { errorMessage } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { Secret } from '../../base/secret.ts';
import { decodeDispatch, encodeDispatch } from './dispatch-json.ts';
import { MemorySessions } from './memory-sessions.ts';
import { SESSION_SECONDS, type LastDispatch, type Sessions, type SessionsStatus } from './sessions.ts';

export interface RedisSessionsDeps {
  readonly url: Secret;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The longest that a session may hold anybody up, in milliseconds. */
const COMMAND_TIMEOUT_MS = 1000;
const CONNECT_TIMEOUT_MS = 3000;

const dispatchKey = (userId: string): string => `facteur:dispatch:${userId}`;
const tokenKey = (interactionId: string): string => `facteur:interaction:${interactionId}`;

/**
 * Sessions in Redis, shared by all replicas and with the Go service. Everything written is kept in this process too, so
 * that a Redis that is down, slow or wiped costs the other replicas something and this one nothing.
 */
export class RedisSessions implements Sessions {
  readonly #own: MemorySessions;
  readonly #logger: Logger;
  readonly #redis: Promise<Redis>;
  #ok = false;
  #reported = false;
  #closed = false;

  /** Connects in the background; nothing waits for it. */
  constructor({ url, clock, logger }: RedisSessionsDeps) {
    this.#own = new MemorySessions(clock);
    this.#logger = logger;
    this.#redis = this.#connect(url);
    // Every use awaits it and reports; without this the one that nobody uses would end the process.
    this.#redis.catch(() => undefined);
  }

  async rememberDispatch(userId: string, dispatch: LastDispatch): Promise<void> {
    await this.#own.rememberDispatch(userId, dispatch);
    const json = encodeDispatch(dispatch);
    await this.#attempt((redis) => redis.set(dispatchKey(userId), json, 'EX', SESSION_SECONDS));
  }

  /** Redis first, since another replica may know of a later one. */
  async lastDispatch(userId: string): Promise<LastDispatch | undefined> {
    const json = await this.#attempt((redis) => redis.get(dispatchKey(userId)));
    const found = typeof json === 'string' ? decodeDispatch(json) : undefined;
    return found ?? this.#own.lastDispatch(userId);
  }

  async keepToken(interactionId: string, token: Secret): Promise<void> {
    await this.#own.keepToken(interactionId, token);
    await this.#attempt((redis) => redis.set(tokenKey(interactionId), token.reveal(), 'EX', SESSION_SECONDS));
  }

  /** Our own memory first: a token never changes. */
  async tokenOf(interactionId: string): Promise<Secret | undefined> {
    const own = await this.#own.tokenOf(interactionId);
    if (own !== undefined) {
      return own;
    }
    const token = await this.#attempt((redis) => redis.get(tokenKey(interactionId)));
    return typeof token === 'string' ? new Secret(token) : undefined;
  }

  status(): SessionsStatus {
    return { store: 'redis', ok: this.#ok };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const redis = await this.#redis.catch(() => undefined);
    redis?.disconnect();
  }

  async #connect(url: Secret): Promise<Redis> {
    // Loaded when it is configured, and not before.
    const { Redis: Client } = await import('ioredis');
    const redis = new Client(url.reveal(), {
      commandTimeout: COMMAND_TIMEOUT_MS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      maxRetriesPerRequest: 2,
      // GET and SET need no more, and every Redis and every proxy before one speaks it.
      protocol: 2,
      // Never more than a second away from a Redis that is back.
      retryStrategy: (tries) => Math.min(50 * tries, 1000),
    });
    redis.on('error', (error: Error) => {
      this.#failed(error);
    });
    redis.on('ready', () => {
      this.#worked();
    });
    return redis;
  }

  async #attempt<T>(work: (redis: Redis) => Promise<T>): Promise<T | undefined> {
    try {
      const redis = await this.#redis;
      if (this.#reported && redis.status !== 'ready') {
        // It is known to be away: waiting for it again would hold up one caller after the other.
        return undefined;
      }
      const result = await work(redis);
      this.#worked();
      return result;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  #worked(): void {
    this.#ok = true;
    if (this.#reported) {
      this.#reported = false;
      this.#logger.info({}, 'sessions are back');
    }
  }

  /** Said once an outage, not once a command. */
  #failed(error: unknown): void {
    this.#ok = false;
    if (!this.#reported && !this.#closed) {
      this.#reported = true;
      this.#logger.warn({ error: errorMessage(error) }, 'sessions are unavailable; carrying on without them');
    }
  }
}
