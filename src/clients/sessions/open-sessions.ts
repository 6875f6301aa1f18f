import { MemorySessions } from './memory-sessions.ts';
import { RedisSessions, type RedisSessionsDeps } from './redis-sessions.ts';
import type { Sessions } from './sessions.ts';

/** The store that `redis.url` names: `memory://` keeps sessions in this process. */
export function openSessions(deps: RedisSessionsDeps): Sessions {
  return deps.url.reveal().startsWith('memory:') ? new MemorySessions(deps.clock) : new RedisSessions(deps);
}
