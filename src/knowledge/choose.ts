import { createHash } from 'node:crypto';
import { ageFactor, outcomeFactor, type Outcomes } from './usefulness.ts';

/** A reflection found by the search. */
export interface Candidate {
  readonly reflectionId: string;
  /** Score of the merged ranks; higher is better. */
  readonly score: number;
  /** Cosine; null if its embedding is missing or has another version. */
  readonly similarity: number | null;
  /** Its position among the matches by words, from 1; null if no word matches. */
  readonly wordPlace: number | null;
  readonly outcomes: Outcomes;
  readonly createdAt: Date;
}

/** A candidate with its weight. */
export interface Weighed<C extends Candidate> {
  readonly candidate: C;
  /** The combination of ranking, outcomes and age. */
  readonly weight: number;
  readonly isSimilar: boolean;
}

/** How many reflections a run receives at most. */
const MAX_ITEMS = 5;
/** The best matches by words count as similar whatever their embeddings say. */
const SURE_WORD_PLACES = 3;

interface Weighing {
  /** Minimum cosine similarity. */
  readonly minSimilarity: number;
  /** The expected success rate without reflections. */
  readonly expected: number;
  readonly now: Date;
}

/** Candidates by weight, best first. */
export function weigh<C extends Candidate>(
  candidates: readonly C[],
  { minSimilarity, expected, now }: Weighing,
): readonly Weighed<C>[] {
  return candidates
    .map((candidate) => ({
      candidate,
      weight:
        candidate.score *
        outcomeFactor(candidate.outcomes, expected) *
        ageFactor(now.getTime() - candidate.createdAt.getTime()),
      isSimilar: (candidate.similarity ?? -1) >= minSimilarity || (candidate.wordPlace ?? Infinity) <= SURE_WORD_PLACES,
    }))
    .toSorted((a, b) => b.weight - a.weight || (a.candidate.reflectionId < b.candidate.reflectionId ? -1 : 1));
}

/** The candidates that a run receives: the best of the similar ones. */
export function choose<C extends Candidate>(weighed: readonly Weighed<C>[]): readonly C[] {
  return weighed
    .filter(({ isSimilar }) => isSimilar)
    .slice(0, MAX_ITEMS)
    .map(({ candidate }) => candidate);
}

/** Whether a run is in the share that receives nothing, for comparison. The result is always the same for a run. */
export function isHeldOut(runId: string, share: number): boolean {
  const hash = createHash('sha256').update(runId).digest().readUInt32BE(0);
  return hash / 2 ** 32 < share;
}
