import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { Secret } from '../../base/secret.ts';
import { parseRedisUrl } from '../../config/redis-url.ts';
import { MemorySessions } from './memory-sessions.ts';
import { RedisSessions } from './redis-sessions.ts';
import type { Sessions } from './sessions.ts';

interface SessionsOptions {
  readonly url: Secret;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The store that `redis.url` names: `memory://` keeps sessions in this process. */
export function openSessions({ url, clock, logger }: SessionsOptions): Sessions {
  const address = parseRedisUrl(url.reveal());
  return address === undefined ? new MemorySessions(clock) : new RedisSessions({ address, clock, logger });
}
