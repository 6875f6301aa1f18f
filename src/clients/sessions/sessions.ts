import type { Secret } from '../../base/secret.ts';

/** A person's last dispatch, for `/status` and for linking reviews. */
export interface LastDispatch {
  readonly namespace: string;
  readonly workflowName: string;
  readonly message: string;
  readonly correlationId: string;
  readonly traceId: string;
}

/** The health of the store, for `/readyz`. Sessions are optional: facteur works without them. */
export interface SessionsStatus {
  readonly store: 'redis' | 'memory';
  readonly ok: boolean;
}

/**
 * Data that is kept for 15 minutes and may be lost at any time: each person's last dispatch, and the tokens that
 * answer interactions. No method rejects or takes much longer than a second: values that cannot be stored are
 * reported and dropped, values that cannot be read are undefined.
 */
export interface Sessions {
  rememberDispatch(userId: string, dispatch: LastDispatch): Promise<void>;
  lastDispatch(userId: string): Promise<LastDispatch | undefined>;
  keepToken(interactionId: string, token: Secret): Promise<void>;
  tokenOf(interactionId: string): Promise<Secret | undefined>;
  status(): SessionsStatus;
  close(): Promise<void>;
}

/** Lifetime of both (CONTRACT 6): as long as Discord honors an interaction's token. */
export const SESSION_SECONDS = 15 * 60;
