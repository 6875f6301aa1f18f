import { createHash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';
import { Refusal } from '../../domain/refusal.ts';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Makes the check of an `Authorization` header against bearer tokens; with no tokens everybody may come in. Both sides
 * are hashed and every token is compared, so that the time taken says nothing about any of them.
 *
 * @returns a function that throws Refusal `unauthorized`
 */
export function bearerCheck(tokens: readonly Secret[]): (authorization: string | undefined) => void {
  const accepted = tokens.map((token) => digest(token.reveal()));
  return (authorization) => {
    if (accepted.length === 0) {
      return;
    }
    const presented = digest(/^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '');
    const matches = accepted.filter((token) => timingSafeEqual(token, presented));
    if (matches.length === 0) {
      throw new Refusal('unauthorized');
    }
  };
}
