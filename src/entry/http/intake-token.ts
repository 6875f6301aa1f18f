import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import { Refusal } from '../../domain/refusal.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Who may send: holders of a token, and senders that another check accepts. Without both everyone may. */
interface IntakeAccess {
  readonly intakeTokens: readonly Secret[];
  /** Whether a token that is none of ours is accepted; rejects when that is not known now. */
  readonly acceptsAccount?: (token: string) => Promise<boolean>;
}

/**
 * Creates the check of an `Authorization` header against bearer tokens. Both sides are hashed and every token is
 * compared, so the time taken reveals nothing.
 *
 * @returns a function that rejects with Refusal `unauthorized`
 */
export function bearerCheck(access: IntakeAccess): (authorization: string | undefined) => Promise<void> {
  const { acceptsAccount } = access;
  const accepted = access.intakeTokens.map((token) => digest(token.reveal()));
  return async (authorization) => {
    if (accepted.length === 0 && acceptsAccount === undefined) {
      return;
    }
    const token = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '';
    const presented = digest(token);
    const matches = accepted.filter((one) => timingSafeEqual(one, presented));
    if (matches.length === 0 && (await acceptsAccount?.(token)) !== true) {
      throw new Refusal('unauthorized');
    }
  };
}
