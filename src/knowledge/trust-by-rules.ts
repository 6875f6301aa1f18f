import type { Database } from '../clients/postgres/database.ts';
import { CHANGED_AT_ONCE, trustWaiting, waitingReflections, type WaitingPlace } from '../ledger/reflection-standing.ts';
import { reasonToTrust, type TrustRules } from './judge-trust.ts';

/**
 * Creates the function that trusts a repository's reflections according to the rules. It runs before a search and not when
 * reflections are written, because only a run that has ended has succeeded, and because a later change of the rules counts too.
 *
 * Each call reads the newest page of those that wait, and the next page of the older ones: reflections that the rules do not
 * allow wait forever, and would hide the older ones. It trusts few at a time, since a run waits for it.
 */
export function createTrust(db: Database, rules: TrustRules): (repository: string) => Promise<void> {
  // Only for repositories with more waiting reflections than fit on a page.
  const places = new Map<string, WaitingPlace>();
  return async (repository) => {
    if (rules.trustedAuthors.length === 0 && rules.trustedRepositories.length === 0) {
      return;
    }
    const key = repository.toLowerCase();
    const reasons = new Map<string, string>();
    /** Reads a page. @returns where it ended, if there is more */
    const look = async (after?: WaitingPlace): Promise<WaitingPlace | undefined> => {
      const { page, isFull } = await waitingReflections(db, repository, after);
      let seen = after;
      for (const { reflectionId, updatedAt, ...from } of page) {
        if (reasons.size === CHANGED_AT_ONCE) {
          return seen;
        }
        seen = { reflectionId, updatedAt };
        const reason = reasonToTrust(from, rules);
        if (reason !== undefined) {
          reasons.set(reflectionId, reason);
        }
      }
      return isFull ? seen : undefined;
    };
    const newest = await look();
    const next = newest === undefined ? undefined : await look(places.get(key) ?? newest);
    if (next === undefined) {
      places.delete(key);
    } else {
      places.set(key, next);
    }
    if (reasons.size > 0) {
      await trustWaiting(db, reasons);
    }
  };
}
