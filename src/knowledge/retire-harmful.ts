import type { Database, Queryable } from '../clients/postgres/database.ts';
import { outcomesWithout, trustedOutcomes } from '../ledger/retrieval-outcomes.ts';
import { retiredLately, retireReflections, type StandingDecision } from '../ledger/reflection-standing.ts';
import { baseline, harmOf, MIN_OUTCOMES, type Comparison, type Outcomes } from './usefulness.ts';

/** A reflection that did harm, with the numbers as the reason. */
interface Harmful {
  readonly reflectionId: string;
  readonly reason: string;
}

/** Outcomes of a reflection for one command and repository. */
interface PlacedOutcomes extends Outcomes, Comparison {
  readonly reflectionId: string;
}

/** The reflections that did harm. The expected success is what is usual where a reflection was used, weighted by its uses. */
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

interface Retirement {
  /** Only finds them, and retires nothing. */
  readonly dryRun: boolean;
  /** Stops before the next page. */
  readonly signal: AbortSignal;
}

/** Retires the trusted reflections that did harm. @returns how many there are */
export async function retireHarmful(db: Database, { dryRun, signal }: Retirement): Promise<number> {
  const comparisonOf = createComparison(db);
  if (!dryRun) {
    // An earlier pass may have failed before it reached their descendants, and the search below finds only trusted reflections.
    await retire(db, { reflectionIds: await retiredLately(db), reason: '' });
  }
  let retired = 0;
  let after: string | undefined;
  do {
    const { outcomes, next } = await trustedOutcomes(db, MIN_OUTCOMES, after);
    const placed: PlacedOutcomes[] = [];
    for (const place of outcomes) {
      placed.push({ ...place, ...(await comparisonOf(place)) });
    }
    const found = harmful(placed);
    for (const { reflectionId, reason } of dryRun ? [] : found) {
      await retire(db, { reflectionIds: [reflectionId], reason });
    }
    retired += found.length;
    after = next;
  } while (after !== undefined && !signal.aborted);
  return retired;
}

async function retire(db: Database, what: Pick<StandingDecision, 'reflectionIds' | 'reason'>): Promise<void> {
  await retireReflections(db, { ...what, decidedBy: 'facteur', withDescendants: false });
}

/** What is usual without reflections; read once per command. */
function createComparison(
  db: Queryable,
): (place: { readonly command: string; readonly repository: string }) => Promise<Comparison> {
  const known = new Map<string, Awaited<ReturnType<typeof outcomesWithout>>>();
  return async ({ command, repository }) => {
    const all = known.get(command) ?? (await outcomesWithout(db, command));
    known.set(command, all);
    return { everywhere: sumOf(all), here: sumOf(all.filter((one) => one.repository === repository)) };
  };
}

function sumOf(all: readonly Outcomes[]): Outcomes {
  return {
    helped: all.reduce((sum, { helped }) => sum + helped, 0),
    hurt: all.reduce((sum, { hurt }) => sum + hurt, 0),
  };
}
