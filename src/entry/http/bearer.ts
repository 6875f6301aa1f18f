import { hash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../../base/secret.ts';

/** The token of an `Authorization: Bearer` header; undefined without one. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}

/**
 * Finds the holder of a presented token. Both sides are hashed and every token is compared, so the duration reveals nothing about
 * them.
 */
export function tokenFinder<T extends { readonly token: Secret }>(
  holders: readonly T[],
): (presented: string) => T | undefined {
  const digest = (token: string): Buffer => hash('sha256', token, 'buffer');
  const known = holders.map((holder) => ({ holder, digest: digest(holder.token.reveal()) }));
  return (presented) => {
    const one = digest(presented);
    return known.filter((each) => timingSafeEqual(each.digest, one))[0]?.holder;
  };
}
