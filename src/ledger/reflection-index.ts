import type { Queryable } from '../clients/postgres/database.ts';

/** Reflections whose embeddings can be compared with each other. */
export interface EmbeddingVersion {
  /** Null for reflections without an embedding. */
  readonly version: string | null;
  readonly reflections: number;
}

/** Counts reflections by embedding version, the most common first. */
export async function countVersions(db: Queryable): Promise<EmbeddingVersion[]> {
  const { rows } = await db.query<EmbeddingVersion>({
    name: 'count-embedding-versions',
    text: `SELECT CASE WHEN embedding IS NOT NULL THEN embedding_version END AS version, count(*)::int AS reflections
      FROM codex_kb.reflections GROUP BY 1 ORDER BY 2 DESC, 1`,
  });
  return rows;
}

/** Sizes of the indexes that a search reads, in bytes. */
interface IndexSizes {
  readonly vectorBytes: number;
  readonly wordBytes: number;
}

export async function readIndexSizes(db: Queryable): Promise<IndexSizes> {
  const { rows } = await db.query<IndexSizes>({
    name: 'reflection-index-sizes',
    text: `SELECT pg_relation_size('facteur.reflection_standing_signs')::float8 AS "vectorBytes",
      pg_relation_size('facteur.reflection_standing_terms')::float8 AS "wordBytes"`,
  });
  return rows[0] ?? { vectorBytes: 0, wordBytes: 0 };
}

/** A stored embedding, as Postgres writes it. */
interface SampledEmbedding {
  readonly embedding: string;
}

/** An arbitrary sample of the embeddings of a version. */
export async function sampleEmbeddings(db: Queryable, version: string, count: number): Promise<SampledEmbedding[]> {
  const { rows } = await db.query<SampledEmbedding>({
    name: 'sample-embeddings',
    // Selects ids first: converting every embedding to text takes half a minute at 300,000 reflections.
    text: `SELECT embedding::text AS embedding FROM codex_kb.reflections WHERE id = ANY (ARRAY(
        SELECT id FROM codex_kb.reflections WHERE embedding_version = $1 AND embedding IS NOT NULL
        ORDER BY md5(id::text) LIMIT $2))`,
    values: [version, count],
  });
  return rows;
}

/** The reflections to compare. */
export interface ReflectionSelection {
  readonly repository?: string | undefined;
  readonly types?: readonly string[] | undefined;
}

/**
 * The similarities of the nearest reflections, best first: by comparing all selected ones, and as a search finds them through the
 * index.
 */
export async function compareSearches(
  db: Queryable,
  version: string,
  { embedding }: SampledEmbedding,
  { selection: { repository, types }, limit }: { readonly selection: ReflectionSelection; readonly limit: number },
): Promise<{ readonly exact: readonly number[]; readonly found: readonly number[] }> {
  const values = [embedding, version, repository ?? null, types ?? null, limit];
  const { rows } = await db.query<{ readonly exact: number[]; readonly found: number[] }>({
    name: 'compare-searches',
    // The first order does not use the plain operator on the distance, so no index can answer it.
    text: `SELECT ARRAY(
        SELECT 1 - (r.embedding <=> $1::vector) FROM codex_kb.reflections r
          JOIN facteur.reflection_standing s ON s.reflection_id = r.id
        WHERE r.embedding_version = $2 AND ($3::text IS NULL OR s.repository = $3)
          AND ($4::text[] IS NULL OR s.reflection_type = ANY ($4))
        ORDER BY (r.embedding <=> $1::vector) + 0 LIMIT $5::int) AS exact,
      ARRAY(SELECT similarity FROM facteur.search_reflections(NULL, $1::vector, $2, $3, $4, NULL, NULL, NULL, $5::int)) AS found`,
    values,
  });
  return rows[0] ?? { exact: [], found: [] };
}

/** The repository with the most reflections and the type with the fewest: filters that leave much and little. */
export async function readExtremes(
  db: Queryable,
): Promise<{ readonly largestRepository: string | null; readonly rarestType: string | null }> {
  const { rows } = await db.query<{ readonly largestRepository: string | null; readonly rarestType: string | null }>({
    name: 'reflection-extremes',
    text: `SELECT
      (SELECT repository FROM facteur.reflection_standing GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1) AS "largestRepository",
      (SELECT reflection_type FROM facteur.reflection_standing GROUP BY 1 ORDER BY count(*), 1 LIMIT 1) AS "rarestType"`,
  });
  return rows[0] ?? { largestRepository: null, rarestType: null };
}

/** A reflection that needs a new embedding. */
export interface StaleReflection {
  readonly id: string;
  readonly content: string;
}

/** The next reflections whose embedding is missing or not of `version`; skips those that are being written. */
export async function staleReflections(
  db: Queryable,
  { version, after, limit }: { readonly version: string; readonly after: string; readonly limit: number },
): Promise<StaleReflection[]> {
  const { rows } = await db.query<StaleReflection>({
    name: 'stale-reflections',
    text: `SELECT id, content FROM codex_kb.reflections
      WHERE (embedding_version IS DISTINCT FROM $1 OR embedding IS NULL) AND id > $2::uuid
      ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED`,
    values: [version, after, limit],
  });
  return rows;
}

/** The total number of {@link staleReflections}. */
export async function countStale(db: Queryable, version: string): Promise<number> {
  const { rows } = await db.query<{ readonly count: number }>({
    name: 'count-stale-reflections',
    text: `SELECT count(*)::int AS count FROM codex_kb.reflections
      WHERE embedding_version IS DISTINCT FROM $1 OR embedding IS NULL`,
    values: [version],
  });
  return rows[0]?.count ?? 0;
}

/** A new embedding of a text. */
export interface FreshEmbedding extends StaleReflection {
  readonly embedding: readonly number[];
  readonly version: string;
}

/** Replaces embeddings if the text is still the one that was embedded. @returns how many were replaced */
export async function replaceEmbeddings(db: Queryable, fresh: readonly FreshEmbedding[]): Promise<number> {
  const { rowCount } = await db.query({
    name: 'replace-embeddings',
    text: `UPDATE codex_kb.reflections r SET embedding = f.embedding::vector, embedding_version = f.version
      FROM json_to_recordset($1::json) AS f (id uuid, content text, embedding text, version text)
      WHERE r.id = f.id AND r.content = f.content`,
    values: [JSON.stringify(fresh.map((one) => ({ ...one, embedding: JSON.stringify(one.embedding) })))],
  });
  return rowCount;
}

/** Updates the statistics by which a search finds the rarest words. The embedded engine never does that automatically. */
export async function analyzeReflections(db: Queryable): Promise<void> {
  await db.query({ text: 'ANALYZE facteur.reflection_standing' });
}
