import type { Clock } from '../../base/clock.ts';
import type { Secret } from '../../base/secret.ts';
import { ExpiringMap } from './expiring-map.ts';
import { SESSION_SECONDS, type LastDispatch, type Sessions, type SessionsStatus } from './sessions.ts';

/** About 10,000 people's entries of any size; the tokens have the same limit again. */
const MAX_BYTES = 12 * 2 ** 20;

function textsOf({ namespace, workflowName, message, correlationId, traceId }: LastDispatch): readonly string[] {
  return [namespace, workflowName, message, correlationId, traceId];
}

/** Sessions of this process only: for a single replica, for the sandbox, and as a fallback while Redis is down. */
export class MemorySessions implements Sessions {
  readonly #dispatches: ExpiringMap<LastDispatch>;
  readonly #tokens: ExpiringMap<Secret>;

  constructor(clock: Clock, maxBytes = MAX_BYTES) {
    const ttlMs = SESSION_SECONDS * 1000;
    this.#dispatches = new ExpiringMap(clock, { ttlMs, maxBytes, textsOf });
    this.#tokens = new ExpiringMap(clock, { ttlMs, maxBytes: maxBytes / 2, textsOf: (token) => [token.reveal()] });
  }

  async rememberDispatch(userId: string, dispatch: LastDispatch): Promise<void> {
    this.#dispatches.set(userId, dispatch);
  }

  async lastDispatch(userId: string): Promise<LastDispatch | undefined> {
    return this.#dispatches.get(userId);
  }

  /** How long ago the last dispatch was remembered, in milliseconds. */
  dispatchAgeMs(userId: string): number | undefined {
    return this.#dispatches.ageMs(userId);
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
    // Nothing needs closing.
  }
}
