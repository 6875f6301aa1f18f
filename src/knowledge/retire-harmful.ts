import type { Database } from '../clients/postgres/database.ts';
import { trustedOutcomes } from '../ledger/retrieval-outcomes.ts';
import { retireReflections, type StandingChange } from '../ledger/reflection-standing.ts';
import { baseline, harmOf, MIN_OUTCOMES, type Comparison, type Outcomes } from './usefulness.ts';

/** A reflection that did harm, with the numbers. */
interface Harmful {
  readonly reflectionId: string;
  readonly reason: string;
}

/** Outcomes of one reflection, in one of the places in which it was used. */
interface PlacedOutcomes extends Outcomes, Comparison {
  readonly reflectionId: string;
}

/** The reflections that did harm. What is expected of one is what is usual where it was used, weighted by its uses. */
export function harmful(placed: readonly PlacedOutcomes[]): readonly Harmful[] {
  const all = Map.groupBy(placed, ({ reflectionId }) => reflectionId);
  return [...all].flatMap(([reflectionId, places]) => {
    const helped = places.reduce((sum, place) => sum + place.helped, 0);
    const hurt = places.reduce((sum, place) => sum + place.hurt, 0);
    const expected =
      places.reduce((sum, place) => sum + (place.helped + place.hurt) * baseline(place), 0) /
      Math.max(1, helped + hurt);
    const reason = harmOf({ helped, hurt }, expected);
    return reason === undefined ? [] : [{ reflectionId, reason }];
  });
}

/** Retires the trusted reflections that did harm. @param dryRun only finds them */
export async function retireHarmful(
  db: Database,
  dryRun: boolean,
): Promise<readonly Pick<StandingChange, 'reflectionId' | 'reason' | 'isDescendant'>[]> {
  const found = harmful(await trustedOutcomes(db, MIN_OUTCOMES));
  if (dryRun) {
    return found.map((one) => ({ ...one, isDescendant: false }));
  }
  const changes: StandingChange[] = [];
  for (const { reflectionId, reason } of found) {
    const decision = { reflectionIds: [reflectionId], reason, decidedBy: 'facteur', withDescendants: false };
    changes.push(...(await retireReflections(db, decision)));
  }
  return changes;
}
