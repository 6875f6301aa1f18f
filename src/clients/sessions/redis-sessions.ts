import type { Redis } from 'ioredis';
import type { Clock } from '../../base/clock.ts';
import { errorMessage } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { Secret } from '../../base/secret.ts';
import type { RedisAddress } from '../../config/redis-url.ts';
import { decodeDispatch, encodeDispatch } from './dispatch-json.ts';
import { MemorySessions } from './memory-sessions.ts';
import { SESSION_SECONDS, type LastDispatch, type Sessions, type SessionsStatus } from './sessions.ts';

interface RedisSessionsDeps {
  readonly address: RedisAddress;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The longest delay that a session may cause, in milliseconds. */
const COMMAND_TIMEOUT_MS = 1000;
const CONNECT_TIMEOUT_MS = 3000;

/** How often the status retries a refused part, in milliseconds. */
const RETRY_MS = 10_000;

/** How often an outage may be reported, in milliseconds: one that affects only some keys begins and ends at every use. */
const REPORT_MS = 60_000;

/** How exactly ages of values in Redis and in this process compare, in milliseconds. */
const AGE_ERROR_MS = 1000;

/** Parts that fail separately: a Redis that is full, or that forbids SET, can still be read. */
type Part = 'connection' | 'reading' | 'writing';

/** The longest value that is read, in bytes: ours are shorter, but others may write anything. */
const MAX_VALUE_BYTES = 16 * 1024;

const dispatchKey = (userId: string): string => `facteur:dispatch:${userId}`;
const tokenKey = (interactionId: string): string => `facteur:interaction:${interactionId}`;
/** A key that no interaction has, for checks. */
const NOBODY = tokenKey('');

/**
 * Sessions in Redis, shared by all replicas and with the Go service. Everything written is also kept in this process,
 * so a Redis that is down, slow, full, read-only or wiped affects other replicas but not this one.
 */
export class RedisSessions implements Sessions {
  readonly #own: MemorySessions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #address: RedisAddress;
  #redis: Promise<Redis> | undefined;
  /** The connection counts as failing until it has worked. */
  readonly #failing = new Set<Part>(['connection']);
  #isDown = false;
  /** Reported since Redis last worked. */
  readonly #reasons = new Set<string>();
  /** When a reason was last reported, in milliseconds since 1970. */
  #reportedAt = -Infinity;
  /** Whether Redis refused a write as a replica. */
  #isReplica = false;
  /** When a refused part was last retried, in milliseconds since 1970. */
  #triedAt = -Infinity;
  #closed = false;

  constructor({ address, clock, logger }: RedisSessionsDeps) {
    this.#own = new MemorySessions(clock);
    this.#clock = clock;
    this.#logger = logger;
    this.#address = address;
  }

  async rememberDispatch(userId: string, dispatch: LastDispatch): Promise<void> {
    await this.#own.rememberDispatch(userId, dispatch);
    const json = encodeDispatch(dispatch);
    await this.#attempt('writing', (redis) => redis.set(dispatchKey(userId), json, 'EX', SESSION_SECONDS));
  }

  /**
   * The later one: another replica may have written to Redis since, or Redis may have an older one, because it refused or lost
   * ours.
   */
  async lastDispatch(userId: string): Promise<LastDispatch | undefined> {
    const ageMs = this.#own.dispatchAgeMs(userId);
    if (ageMs !== undefined && (await this.#isOlder(userId, ageMs))) {
      return this.#own.lastDispatch(userId);
    }
    const json = await this.#read(dispatchKey(userId));
    const found = json === undefined ? undefined : decodeDispatch(json);
    return found ?? this.#own.lastDispatch(userId);
  }

  async keepToken(interactionId: string, token: Secret): Promise<void> {
    await this.#own.keepToken(interactionId, token);
    await this.#attempt('writing', (redis) =>
      redis.set(tokenKey(interactionId), token.reveal(), 'EX', SESSION_SECONDS),
    );
  }

  /** Our own memory first: a token never changes. */
  async tokenOf(interactionId: string): Promise<Secret | undefined> {
    const own = await this.#own.tokenOf(interactionId);
    if (own !== undefined) {
      return own;
    }
    const token = await this.#read(tokenKey(interactionId));
    return token === undefined ? undefined : new Secret(token);
  }

  /** The first call connects in the background: a probe usually comes before any session. */
  status(): SessionsStatus {
    if (!this.#closed) {
      void this.#connection();
      void this.#tryRefused();
    }
    return { store: 'redis', ok: this.#failing.size === 0 };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const redis = await this.#redis?.catch(() => undefined);
    redis?.disconnect();
  }

  /** Whether the dispatch in Redis is older than this, or missing: by its time to live, since the value has no time. */
  async #isOlder(userId: string, ageMs: number): Promise<boolean> {
    const leftMs = await this.#attempt('reading', (redis) => redis.pttl(dispatchKey(userId)).catch(newIfForbidden));
    return leftMs === undefined || SESSION_SECONDS * 1000 - leftMs > ageMs + AGE_ERROR_MS;
  }

  /** Connects on first use: the client takes longer to load than most of what `serve` needs to answer its first request. */
  #connection(): Promise<Redis> {
    if (this.#redis === undefined) {
      this.#redis = this.#connect();
      // Every use awaits it and reports errors; the next one loads the client again.
      this.#redis.catch(() => {
        this.#redis = undefined;
      });
    }
    return this.#redis;
  }

  async #connect(): Promise<Redis> {
    const { Redis: Client } = await import('ioredis');
    const redis = new Client({
      ...clientOptions(this.#address),
      commandTimeout: COMMAND_TIMEOUT_MS,
      connectTimeout: CONNECT_TIMEOUT_MS,
      // A dead node leaves its connections open; without a timeout they would be used for a quarter of an hour.
      socketTimeout: COMMAND_TIMEOUT_MS,
      // After a failover its name resolves to the new primary.
      reconnectOnError: isReadOnly,
      maxRetriesPerRequest: 2,
      // SET and GETRANGE need no newer protocol, and every Redis and every proxy supports it.
      protocol: 2,
      // Reconnects at most a second after Redis is back.
      retryStrategy: (tries) => Math.min(50 * tries, 1000),
    });
    redis.on('error', (error: Error) => {
      // The library becomes `ready` even if the database could not be selected, and then uses database 0, which may
      // belong to others: any failure before `ready` closes the connection.
      if (redis.status === 'connect') {
        redis.disconnect(true);
      }
      this.#failed('connection', error);
    });
    redis.on('ready', () => {
      // Not by a write to a replica: a refusal reconnects.
      void this.#attempt('writing', this.#isReplica ? assertPrimary : writeNothing);
    });
    return redis;
  }

  /** Sessions may be unused for hours; without this retry, a Redis that works again would count as down until then. */
  async #tryRefused(): Promise<void> {
    const now = this.#clock.now().getTime();
    const refused = this.#failing.has('reading') || this.#failing.has('writing');
    if (!refused || now - this.#triedAt < RETRY_MS) {
      return;
    }
    this.#triedAt = now;
    if (this.#failing.has('reading')) {
      await this.#read(NOBODY);
    }
    if (this.#failing.has('writing')) {
      await this.#attempt('writing', writeNothing);
    }
  }

  /** Undefined if there is no value, or one that we did not write. */
  async #read(key: string): Promise<string | undefined> {
    const value = await this.#attempt('reading', (redis) =>
      redis.getrange(key, 0, MAX_VALUE_BYTES).catch(nothingIfOfAnotherType),
    );
    return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= MAX_VALUE_BYTES ? value : undefined;
  }

  async #attempt<T>(part: Part, work: (redis: Redis) => Promise<T>): Promise<T | undefined> {
    try {
      const redis = await this.#connection();
      if (this.#isDown && redis.status !== 'ready') {
        // Redis is known to be down: waiting again would delay every caller.
        return undefined;
      }
      const result = await work(redis);
      this.#worked(part);
      return result;
    } catch (error) {
      this.#failed(isReply(error) ? part : 'connection', error);
      return undefined;
    }
  }

  #worked(part: Part): void {
    this.#failing.delete('connection');
    this.#failing.delete(part);
    this.#isReplica &&= part !== 'writing';
    if (this.#failing.size > 0) {
      return;
    }
    this.#isDown = false;
    if (this.#reasons.size > 0) {
      this.#reasons.clear();
      this.#logger.info({}, 'sessions are available again');
    }
  }

  #failed(part: Part, error: unknown): void {
    this.#failing.add(part);
    this.#isReplica ||= error instanceof Error && isReadOnly(error);
    this.#isDown = true;
    if (!this.#closed) {
      this.#report(errorMessage(error));
    }
  }

  /** Logs each reason once per outage: the first one may hide the next, such as a rotated password after a restart. */
  #report(reason: string): void {
    const now = this.#clock.now().getTime();
    if (!this.#reasons.has(reason) && now - this.#reportedAt >= REPORT_MS) {
      this.#reportedAt = now;
      this.#reasons.add(reason);
      this.#logger.warn({ error: reason }, 'sessions are unavailable; continuing without them');
    }
  }
}

/** Whether Redis answered with an error. */
function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/** Others may have written another type under our keys. */
function nothingIfOfAnotherType(error: Error): string {
  if (error.message.startsWith('WRONGTYPE')) {
    return '';
  }
  throw error;
}

/** A user of Redis may lack the permission for PTTL. */
function newIfForbidden(error: Error): number {
  if (error.message.startsWith('NOPERM')) {
    return SESSION_SECONDS * 1000;
  }
  throw error;
}

function isReadOnly({ message }: Error): boolean {
  return message.startsWith('READONLY');
}

/** Whether Redis accepts writes: it may be full. */
async function writeNothing(redis: Redis): Promise<unknown> {
  return redis.set(NOBODY, '', 'EX', 1);
}

/** Checked after reconnecting: the name may still resolve to the replica instead of the new primary. */
async function assertPrimary(redis: Redis): Promise<void> {
  if (/^role:slave/m.test(await redis.info('replication'))) {
    throw new Error('Redis is a replica');
  }
}

/** The address as library options: the library would parse the URL itself less strictly than `config check`. */
function clientOptions({ host, port, tls, login, database }: RedisAddress) {
  return {
    ...(host.startsWith('/') ? { path: host } : { host, port }),
    db: database,
    ...(tls ? { tls: {} } : {}),
    ...(login === undefined ? {} : { password: login.password.reveal() }),
    ...(login === undefined || login.user === '' ? {} : { username: login.user }),
  };
}
