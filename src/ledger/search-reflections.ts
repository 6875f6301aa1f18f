import type { Queryable } from '../clients/postgres/database.ts';

/** Only trusted reflections may be given to runs. */
export const REFLECTION_STATES = ['quarantined', 'trusted', 'retired'] as const;
export type ReflectionState = (typeof REFLECTION_STATES)[number];

/** What to search for, and where. An absent filter matches everything; an empty list matches nothing. */
export interface ReflectionQuery {
  /** Matched by its rarest words. */
  readonly text?: string | undefined;
  /** Matched by cosine, among reflections of the same `embeddingVersion`. */
  readonly embedding?: readonly number[] | undefined;
  readonly embeddingVersion?: string | undefined;
  /** `owner/name`, case-insensitive. */
  readonly repository?: string | undefined;
  readonly types?: readonly string[] | undefined;
  readonly states?: readonly ReflectionState[] | undefined;
  readonly excludeRuns?: readonly string[] | undefined;
  readonly excludeReflections?: readonly string[] | undefined;
  readonly limit: number;
  /** Up to this many matching rows are compared one by one; more are searched through the index. */
  readonly exactBelow?: number;
}

/** A search result. */
export interface FoundReflection {
  readonly id: string;
  readonly runId: string;
  readonly type: string;
  readonly content: string;
  readonly author: string;
  /** In lowercase; empty if its run has none. */
  readonly repository: string;
  readonly state: ReflectionState;
  readonly createdAt: Date;
  /** Cosine, -1 to 1; null if the query has no embedding, or the reflection has none of its version. */
  readonly similarity: number | null;
  /** Overall position, from 1. */
  readonly rank: number;
  /** Position by cosine alone, from 1; null if it is not among the nearest. */
  readonly vectorRank: number | null;
  /** Position by words alone, from 1; null if it contains none of them. */
  readonly wordRank: number | null;
}

/** Comparing this many embeddings takes about as long as reading the index. */
const EXACT_BELOW = 1000;

const SEARCH = `
SELECT r.id, r.task_run_id AS "runId", r.reflection_type AS type, r.content, coalesce(r.author, '') AS author,
  s.repository, s.state, r.created_at AS "createdAt", found.similarity,
  row_number() OVER (ORDER BY found.score DESC, found.similarity DESC NULLS LAST, r.id)::int AS rank,
  found.vector_place AS "vectorRank", found.word_place AS "wordRank"
FROM facteur.search_reflections($1, $2::vector, $3, lower($4), $5, $6, $7, $8, $9, $10) AS found
  JOIN codex_kb.reflections r ON r.id = found.reflection_id
  JOIN facteur.reflection_standing s ON s.reflection_id = r.id
ORDER BY rank`;

/**
 * The reflections that resemble a text, an embedding or both, the best first. Without either, it finds nothing.
 *
 * Words and embedding are two rankings that are merged by position, so `similarity` need not fall with `rank`.
 */
export async function searchReflections(db: Queryable, query: ReflectionQuery): Promise<FoundReflection[]> {
  const { rows } = await db.query<FoundReflection>({
    name: 'search-reflections',
    text: SEARCH,
    values: [
      query.text ?? null,
      query.embedding === undefined ? null : JSON.stringify(query.embedding),
      query.embeddingVersion ?? null,
      query.repository ?? null,
      query.types ?? null,
      query.states ?? null,
      query.excludeRuns ?? null,
      query.excludeReflections ?? null,
      query.limit,
      query.exactBelow ?? EXACT_BELOW,
    ],
  });
  return rows;
}

/** A reflection and its standing. */
export interface KnownReflection extends Omit<FoundReflection, 'similarity' | 'rank' | 'vectorRank' | 'wordRank'> {
  readonly embeddingVersion: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly updatedAt: Date;
  /** The reason for its state, and who decided it; empty if nobody did. */
  readonly reason: string;
  readonly decidedBy: string;
}

export async function readReflection(db: Queryable, id: string): Promise<KnownReflection | undefined> {
  const { rows } = await db.query<KnownReflection>({
    name: 'read-reflection',
    text: `SELECT r.id, r.task_run_id AS "runId", r.reflection_type AS type, r.content, coalesce(r.author, '') AS author,
        s.repository, s.state, s.reason, s.decided_by AS "decidedBy", r.embedding_version AS "embeddingVersion", r.metadata,
        r.created_at AS "createdAt", r.updated_at AS "updatedAt"
      FROM codex_kb.reflections r JOIN facteur.reflection_standing s ON s.reflection_id = r.id WHERE r.id = $1`,
    values: [id],
  });
  return rows[0];
}

/** The repository that a run is about, in lowercase; empty if it has none. */
export async function runRepository(db: Queryable, runId: string): Promise<string> {
  const { rows } = await db.query<{ readonly repository: string | null }>({
    name: 'run-repository',
    text: 'SELECT facteur.run_repository($1) AS repository',
    values: [runId],
  });
  return rows[0]?.repository ?? '';
}
