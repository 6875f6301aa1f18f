import type { Clock } from '../../base/clock.ts';
import type { Secret } from '../../base/secret.ts';
import { ExpiringMap } from './expiring-map.ts';
import { SESSION_SECONDS, type LastDispatch, type Sessions, type SessionsStatus } from './sessions.ts';

/** At most a few megabytes, however many people there are. */
const MAX_ENTRIES = 10_000;

/** Sessions of this process alone: for one replica, for the sandbox, and beside Redis for when Redis is away. */
export class MemorySessions implements Sessions {
  readonly #dispatches: ExpiringMap<LastDispatch>;
  readonly #tokens: ExpiringMap<Secret>;

  constructor(clock: Clock, maxEntries = MAX_ENTRIES) {
    this.#dispatches = new ExpiringMap(clock, SESSION_SECONDS * 1000, maxEntries);
    this.#tokens = new ExpiringMap(clock, SESSION_SECONDS * 1000, maxEntries);
  }

  async rememberDispatch(userId: string, dispatch: LastDispatch): Promise<void> {
    this.#dispatches.set(userId, dispatch);
  }

  async lastDispatch(userId: string): Promise<LastDispatch | undefined> {
    return this.#dispatches.get(userId);
  }

  async keepToken(interactionId: string, token: Secret): Promise<void> {
    this.#tokens.set(interactionId, token);
  }

  async tokenOf(interactionId: string): Promise<Secret | undefined> {
    return this.#tokens.get(interactionId);
  }

  status(): SessionsStatus {
    return { store: 'memory', ok: true };
  }

  async close(): Promise<void> {
    // Nothing is held open.
  }
}
