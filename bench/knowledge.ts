/**
 * Search over many reflections: time and recall, with and without filters, compared with the Go service's own query.
 *
 *   node scripts/services.ts run -- node bench/knowledge.ts     100,000 reflections on PostgreSQL (some minutes to fill)
 *   node bench/knowledge.ts                                     5,000 on the embedded Postgres
 *
 * BENCH_ROWS and BENCH_QUERIES set other numbers. The texts are real paragraphs of the READMEs of installed packages, cut and
 * recombined with a seed: random vectors have no neighbors, and random words no frequencies.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Queryable } from '../src/clients/postgres/database.ts';
import { ngramEmbedder } from '../src/knowledge/embed.ts';
import { searchReflections, type ReflectionQuery } from '../src/ledger/search-reflections.ts';
import { createTestDatabase } from '../test/support/database.ts';
import { seedReflections, type SeededReflection } from '../test/support/reflections.ts';

const database = await createTestDatabase();
const { db } = database;
const isEmbedded = !database.dsn.startsWith('postgres');
const ROWS = Number(process.env['BENCH_ROWS'] ?? (isEmbedded ? 5000 : 100_000));
const QUERIES = Number(process.env['BENCH_QUERIES'] ?? 200);
const EXACT_QUERIES = Math.min(QUERIES, 30);
const GO_QUERIES = 5;
const BATCH = 100;
const NEVER = new AbortController().signal;

/** mulberry32: the same numbers each time. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function readParagraphs(): string[] {
  const root = join(import.meta.dirname, '..', 'node_modules');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => /\.md$/i.test(path));
  const paragraphs = files
    .toSorted()
    .flatMap((path) => readFileSync(join(root, path), 'utf8').split(/\n\s*\n/))
    .map((paragraph) => paragraph.replaceAll(/\s+/g, ' ').trim())
    .filter(
      (paragraph) =>
        paragraph.length >= 80 &&
        paragraph.length <= 2000 &&
        !paragraph.includes('](') &&
        /[a-z]{4} [a-z]{2}/.test(paragraph),
    );
  return [...new Set(paragraphs)];
}

const paragraphs = readParagraphs();
const random = generator(15);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

/** One paragraph and one or two sentences from others, about 300 to 900 characters. */
function text(): string {
  const sentences = Array.from({ length: 1 + Math.floor(random() * 2) }, () =>
    pick(pick(paragraphs).split(/(?<=\.) /)),
  );
  return [pick(paragraphs).slice(0, 600), ...sentences].join(' ');
}

function repository(): string {
  const share = random();
  if (share < 0.003) {
    return 'bench/small';
  }
  return share < 0.173 ? 'bench/large' : `bench/other${Math.floor(random() * 40)}`;
}

async function fill(count: number): Promise<void> {
  for (let done = 0; done < count; done += BATCH) {
    const rows: SeededReflection[] = [];
    for (let place = 0; place < Math.min(BATCH, count - done); place += 1) {
      const content = text();
      const embedded = await ngramEmbedder.embedPassage(content, NEVER);
      rows.push({
        content,
        repository: repository(),
        type: (done + place) % 10_000 === 42 ? 'rare' : 'critique',
        state: random() < 0.9 ? 'trusted' : 'quarantined',
        embedding: embedded?.embedding ?? null,
        embeddingVersion: embedded?.version ?? null,
      });
    }
    await db.session((session) => seedReflections(session, rows));
  }
}

/** Drops the indexes during `work` and builds them afterward: inserting 100,000 rows into HNSW takes an hour. */
async function withoutIndices(work: () => Promise<void>): Promise<void> {
  const { rows } = await db.query<{ name: string; definition: string }>({
    text: `SELECT schemaname || '.' || indexname AS name, indexdef AS definition FROM pg_indexes
      WHERE indexname IN ('reflection_standing_signs', 'reflection_standing_terms')`,
  });
  await db.session(async (session) => {
    for (const { name } of rows) {
      await session.query({ text: `DROP INDEX ${name}` });
    }
  });
  await work();
  await db.session(async (session) => {
    await session.query({ text: `SET maintenance_work_mem = '${isEmbedded ? '128MB' : '1GB'}'` });
    for (const { name, definition } of rows) {
      const startedAt = performance.now();
      await session.query({ text: definition });
      console.log(`${name} built in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    }
    await session.query({ text: 'VACUUM ANALYZE codex_kb.reflections' });
    await session.query({ text: 'VACUUM ANALYZE facteur.reflection_standing' });
  });
}

interface Asked {
  readonly text: string;
  readonly embedding: readonly number[];
  readonly embeddingVersion: string;
}

async function ask(): Promise<Asked> {
  const content = text().slice(0, 300);
  const embedded = await ngramEmbedder.embedQuery(content, NEVER);
  return { text: content, embedding: embedded?.embedding ?? [], embeddingVersion: embedded?.version ?? '' };
}

type Filters = Pick<ReflectionQuery, 'repository' | 'types' | 'states'>;

const FILTERS: Readonly<Record<string, Filters>> = {
  'no filter': {},
  'repository with 17 %, trusted': { repository: 'bench/large', states: ['trusted'] },
  'repository with 0.3 %, trusted': { repository: 'bench/small', states: ['trusted'] },
  'one row in 10,000': { types: ['rare'] },
};

const times: { readonly what: string; readonly ms: number[] }[] = [];

async function measure(what: string, count: number, run: (place: number) => Promise<unknown>): Promise<void> {
  const ms: number[] = [];
  for (let place = 0; place < count; place += 1) {
    const startedAt = performance.now();
    await run(place);
    ms.push(performance.now() - startedAt);
  }
  times.push({ what, ms: ms.toSorted((a, b) => a - b) });
  const at = (share: number): string =>
    (ms.toSorted((a, b) => a - b)[Math.min(count - 1, Math.floor(count * share))] ?? 0).toFixed(1);
  console.log(
    `${what.padEnd(58)} p50 ${at(0.5).padStart(8)} ms   p99 ${at(0.99).padStart(8)} ms   max ${at(1).padStart(8)} ms`,
  );
}

/** The exact ten nearest, by comparing every row that matches the filters. */
async function exact(session: Queryable, { embedding, embeddingVersion }: Asked, filters: Filters): Promise<string[]> {
  const { rows } = await session.query<{ id: string }>({
    text: `SELECT r.id FROM codex_kb.reflections r JOIN facteur.reflection_standing s ON s.reflection_id = r.id
      WHERE r.embedding_version = $2 AND ($3::text IS NULL OR s.repository = $3)
        AND ($4::text[] IS NULL OR s.reflection_type = ANY ($4)) AND ($5::text[] IS NULL OR s.state = ANY ($5))
      ORDER BY (r.embedding <=> $1::vector) + 0 LIMIT 10`,
    values: [
      JSON.stringify(embedding),
      embeddingVersion,
      filters.repository ?? null,
      filters.types ?? null,
      filters.states ?? null,
    ],
  });
  return rows.map(({ id }) => id);
}

async function recall(what: string, filters: Filters, asked: readonly Asked[]): Promise<void> {
  let [found, wanted] = [0, 0];
  await db.session(async (session) => {
    for (const one of asked) {
      const nearest = await exact(session, one, filters);
      const { text: _, ...byVector } = one;
      const got = new Set(
        (await searchReflections(session, { ...byVector, ...filters, limit: 10 })).map(({ id }) => id),
      );
      wanted += nearest.length;
      found += nearest.filter((id) => got.has(id)).length;
    }
  });
  console.log(`recall@10, ${what}: ${(found / wanted).toFixed(4)} (${asked.length} queries)`);
}

/** The Go service's query, with its defaults. */
function asGo({ embedding }: Asked): Promise<unknown> {
  return db.session((session) =>
    session.query({
      text: `SELECT id, task_run_id, author, reflection_type, content, embedding, embedding_version, metadata, created_at, updated_at
        FROM codex_kb.reflections WHERE embedding IS NOT NULL ORDER BY embedding <-> $1::vector, updated_at DESC LIMIT $2`,
      values: [JSON.stringify(embedding), 5],
    }),
  );
}

console.log(
  `${ROWS} reflections of ${paragraphs.length} paragraphs, ${isEmbedded ? 'embedded Postgres' : 'PostgreSQL'}`,
);
await withoutIndices(() => fill(ROWS));
const { rows: sizes } = await db.query<{ name: string; size: string }>({
  text: `SELECT n::text AS name, pg_size_pretty(pg_relation_size(n::regclass)) AS size
    FROM unnest(ARRAY['facteur.reflection_standing_signs', 'facteur.reflection_standing_terms']) AS n`,
});
console.log(sizes.map(({ name, size }) => `${name} ${size}`).join(', '));

const asked: Asked[] = [];
for (let place = 0; place < QUERIES; place += 1) {
  asked.push(await ask());
}
const at = (place: number): Asked => asked[place] as Asked;
// Warm-up, so that pages are in memory.
for (const one of asked.slice(0, 50)) {
  await searchReflections(db, { ...one, limit: 10 });
}
for (const [name, filters] of Object.entries(FILTERS)) {
  await measure(`by vector, ${name}`, QUERIES, (place) => {
    const { text: _, ...byVector } = at(place);
    return searchReflections(db, { ...byVector, ...filters, limit: 10 });
  });
  await measure(`by words and vector, ${name}`, QUERIES, (place) =>
    searchReflections(db, { ...at(place), ...filters, limit: 10 }),
  );
}
const common = await commonWords();
await measure('by words and vector, 4,000 common words', 20, async (place) =>
  searchReflections(db, { ...at(place), text: Array.from({ length: 4000 }, () => pick(common)).join(' '), limit: 10 }),
);
await measure('by words and vector, one common word', 20, (place) =>
  searchReflections(db, { ...at(place), text: common[place % common.length] ?? 'package', limit: 10 }),
);
if (isEmbedded) {
  const rows = await Promise.all(asked.slice(0, 50).map(async (one) => ({ ...one, content: one.text })));
  await measure('insert', rows.length, (place) => seedReflections(db, [rows[place] as SeededReflection]));
}
for (const [name, filters] of Object.entries(FILTERS)) {
  await recall(name, filters, asked.slice(0, EXACT_QUERIES));
}
await measure('the Go service’s query', GO_QUERIES, (place) => asGo(at(place)));
const median = (what: string): number => {
  const { ms } = times.find((one) => one.what.startsWith(what)) ?? { ms: [0] };
  return ms[Math.floor(ms.length / 2)] ?? 0;
};
console.log(
  `the Go service’s query takes ${Math.round(median('the Go') / median('by vector, no filter'))} times as long`,
);
await database.close();

/** The words that most texts share. */
async function commonWords(): Promise<string[]> {
  const { rows } = await db.query<{ word: string }>({
    text: `SELECT unnest(most_common_elems::text::text[]) AS word FROM pg_stats
      WHERE schemaname = 'facteur' AND tablename = 'reflection_standing' AND attname = 'terms' LIMIT 200`,
  });
  const { rows: best } = await db.query<{ word: string }>({
    text: `SELECT word FROM unnest($1::text[]) AS word
      ORDER BY (SELECT count(*) FROM facteur.reflection_standing WHERE terms @@ quote_literal(word)::tsquery) DESC LIMIT 100`,
    values: [rows.map(({ word }) => word).filter((word) => /^[a-z]+$/.test(word))],
  });
  return best.map(({ word }) => word);
}
