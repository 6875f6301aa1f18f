import type { Database } from '../clients/postgres/database.ts';
import {
  compareSearches,
  countVersions,
  readExtremes,
  readIndexSizes,
  sampleEmbeddings,
  type EmbeddingVersion,
  type ReflectionSelection,
} from '../ledger/reflection-index.ts';

/** Below this, the index misses too much. */
export const LEAST_RECALL = 0.95;
const NEAREST = 10;
/** Versions with few reflections will soon be gone; searches compare the others. */
const CHECKED_VERSIONS = 3;
/** Similarities that differ by less count as equal: it does not matter which of the two rows is found. */
const EQUAL = 1e-6;

/** The share of the results of a full comparison that the search also finds. */
interface CheckedRecall {
  readonly version: string;
  readonly filter: string;
  readonly queries: number;
  /** 0 to 1. */
  readonly recall: number;
}

/** The state of the index. */
export interface IndexCheck {
  readonly versions: readonly EmbeddingVersion[];
  readonly vectorBytes: number;
  readonly wordBytes: number;
  readonly recalls: readonly CheckedRecall[];
}

/** Searches for stored embeddings, and compares the results with a comparison of all rows. */
export async function checkIndex(
  db: Database,
  { sample, signal }: { readonly sample: number; readonly signal: AbortSignal },
): Promise<IndexCheck> {
  const versions = await countVersions(db);
  const { largestRepository, rarestType } = await readExtremes(db);
  const filters: readonly (readonly [string, ReflectionSelection])[] = [
    ['none', {}],
    ...(largestRepository === null
      ? []
      : [[`repository ${largestRepository || '(none)'}`, { repository: largestRepository }] as const]),
    ...(rarestType === null ? [] : [[`type ${rarestType}`, { types: [rarestType] }] as const]),
  ];
  const recalls: CheckedRecall[] = [];
  for (const { version } of versions.filter((one) => one.version !== null).slice(0, CHECKED_VERSIONS)) {
    for (const [filter, selection] of filters) {
      recalls.push({ filter, ...(await recallOf(version ?? '', selection)) });
    }
  }
  return { versions, ...(await readIndexSizes(db)), recalls };

  async function recallOf(version: string, selection: ReflectionSelection): Promise<Omit<CheckedRecall, 'filter'>> {
    let [wanted, found, queries] = [0, 0, 0];
    for (const one of await sampleEmbeddings(db, version, sample)) {
      if (signal.aborted) {
        break;
      }
      // In a session, because comparing all rows may take longer than a statement may.
      const results = await db.session((session) =>
        compareSearches(session, version, one, { selection, limit: NEAREST }),
      );
      wanted += results.exact.length;
      found += hits(results);
      queries += 1;
    }
    return { version, queries, recall: wanted === 0 ? 1 : found / wanted };
  }
}

/** How many of the found reflections are as near as the exact ones. */
export function hits({
  exact,
  found,
}: {
  readonly exact: readonly number[];
  readonly found: readonly number[];
}): number {
  const least = (exact.at(-1) ?? Infinity) - EQUAL;
  return Math.min(exact.length, found.filter((similarity) => similarity >= least).length);
}
