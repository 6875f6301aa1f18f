import type { Secret } from '../../base/secret.ts';

/** The last thing that somebody had run: what `/status` tells and what a review is linked to. */
export interface LastDispatch {
  readonly namespace: string;
  readonly workflowName: string;
  readonly message: string;
  readonly correlationId: string;
  readonly traceId: string;
}

/** How the store is doing, for `/readyz`. Sessions are a comfort: facteur works without them. */
export interface SessionsStatus {
  readonly store: 'redis' | 'memory';
  readonly ok: boolean;
}

/**
 * What is remembered for 15 minutes and may be lost at any time: each person's last dispatch, and the tokens that
 * answer interactions. No method ever rejects or takes much longer than a second: what cannot be stored is reported
 * and forgotten, what cannot be read is undefined.
 */
export interface Sessions {
  rememberDispatch(userId: string, dispatch: LastDispatch): Promise<void>;
  lastDispatch(userId: string): Promise<LastDispatch | undefined>;
  keepToken(interactionId: string, token: Secret): Promise<void>;
  tokenOf(interactionId: string): Promise<Secret | undefined>;
  status(): SessionsStatus;
  close(): Promise<void>;
}

/** How long both live (CONTRACT 6): as long as Discord honours an interaction's token. */
export const SESSION_SECONDS = 15 * 60;
