import fc from 'fast-check';
import { expect } from 'vitest';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { seedReflections, vector, type SeededReflection } from '../../test/support/reflections.ts';
import {
  REFLECTION_STATES,
  searchReflections,
  type FoundReflection,
  type ReflectionQuery,
  type ReflectionState,
} from './search-reflections.ts';

const REPOSITORIES = ['acme/rocket', 'acme/anvil', 'other/thing'];
const TYPES = ['critique', 'plan_insight', 'failure_postmortem'];
const VERSIONS = ['model-a@1536', 'model-b@1536'];
/** No stems, no stop words: each is its own lexeme. */
const WORDS = Array.from({ length: 12 }, (_, place) => `zq${place}`);

/** Only eight numbers: a counterexample stays short. */
const directions = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 8, maxLength: 8 });
const toward = (numbers: readonly number[]): number[] => vector(...numbers, 1);

interface Row extends SeededReflection {
  readonly type: string;
  readonly state: ReflectionState;
  readonly id: string;
  readonly runId: string;
}

/** The same rows each time. Every filter leaves some; some have no embedding, others one of another model. */
async function corpus(): Promise<Row[]> {
  const [seeded] = fc.sample(
    fc.array(
      fc.record({
        content: fc.subarray(WORDS, { minLength: 1, maxLength: 4 }).map((words) => words.join(' ')),
        repository: fc.constantFrom(...REPOSITORIES),
        type: fc.constantFrom(...TYPES),
        state: fc.constantFrom(...REFLECTION_STATES),
        embedding: directions.map(toward),
        embeddingVersion: fc.option(fc.constantFrom(...VERSIONS), { freq: 6 }),
      }),
      { minLength: 80, maxLength: 80 },
    ),
    { seed: 15, numRuns: 1 },
  );
  const rows = seeded!.map((row) => (row.embeddingVersion === null ? { ...row, embedding: null } : row));
  const ids = await seedReflections(db, rows);
  // Otherwise the statistics, which decide which words are too common to look up, are those of an earlier test.
  await db.session((session) => session.query({ text: 'ANALYZE facteur.reflection_standing' }));
  return rows.map((row, place) => ({ ...row, ...ids[place]! }));
}

const queries = (rows: readonly Row[]): fc.Arbitrary<Omit<ReflectionQuery, 'text' | 'embedding' | 'limit'>> =>
  fc.record(
    {
      embeddingVersion: fc.constantFrom(...VERSIONS),
      repository: fc.constantFrom(...REPOSITORIES, 'Acme/Rocket', 'nobody/nothing'),
      types: fc.subarray([...TYPES, 'unheard_of']),
      states: fc.subarray([...REFLECTION_STATES]),
      excludeRuns: fc.subarray(rows.map(({ runId }) => runId)),
      excludeReflections: fc.subarray(rows.map(({ id }) => id)),
    },
    { requiredKeys: ['embeddingVersion'] },
  );

function passes(
  row: Row,
  { repository, types, states, excludeRuns, excludeReflections }: Partial<ReflectionQuery>,
): boolean {
  const outside = (list: readonly string[] | undefined, value: string): boolean =>
    list !== undefined && !list.includes(value);
  const refused = [
    repository !== undefined && row.repository !== repository.toLowerCase(),
    outside(types, row.type),
    outside(states, row.state),
    excludeRuns?.includes(row.runId) === true,
    excludeReflections?.includes(row.id) === true,
  ];
  return !refused.includes(true);
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, n, at) => sum + n * (y[at] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

const ids = (found: readonly { readonly id: string }[]): string[] => found.map(({ id }) => id);

test('for any filters, a search by cosine equals a comparison of every row, with and without the index', async () => {
  const rows = await corpus();
  const byId = new Map(rows.map((row) => [row.id, row]));
  const check = (exactBelow: number): Promise<void> =>
    fc.assert(
      fc.asyncProperty(
        queries(rows),
        directions,
        fc.integer({ min: 1, max: 60 }),
        async (filters, direction, limit) => {
          const query = { ...filters, embedding: toward(direction), limit };
          const likeness = ({ embedding }: Row): number => cosine(embedding ?? [], query.embedding);
          const wanted = rows
            .filter((row) => passes(row, query) && row.embeddingVersion === query.embeddingVersion)
            .map(likeness)
            .toSorted((a, b) => b - a)
            .slice(0, limit);
          const found = await searchReflections(db, { ...query, exactBelow });
          expect(found.map(({ similarity }) => similarity)).toEqual(wanted.map((value) => expect.closeTo(value, 4)));
          expect(new Set(ids(found)).size).toBe(found.length);
          for (const [place, { id, similarity, rank, vectorRank, wordRank }] of found.entries()) {
            const row = byId.get(id)!;
            expect([passes(row, query), row.embeddingVersion]).toEqual([true, query.embeddingVersion]);
            expect([similarity, rank, vectorRank, wordRank]).toEqual([
              expect.closeTo(likeness(row), 4),
              place + 1,
              place + 1,
              null,
            ]);
          }
        },
      ),
      { numRuns: 60 },
    );
  await check(1000);
  await check(0);
});

test('for any filters, the candidates from the index are as near as those from a scan of all signs', async () => {
  const rows = await corpus();
  await fc.assert(
    fc.asyncProperty(queries(rows), directions, fc.integer({ min: 1, max: 60 }), async (filters, direction, limit) => {
      const { excludeRuns: _, ...query } = filters;
      const differences = async (how: 'in_index' | 'by_scan'): Promise<number[]> => {
        const found = await db.query<{ difference: number; id: string }>({
          text: `SELECT reflection_id AS id, signs <~> facteur.embedding_signs($1::vector) AS difference
            FROM facteur.reflection_standing WHERE reflection_id = ANY (
              facteur.candidates_${how}(facteur.embedding_signs($1::vector), $2, lower($3), $4, $5, $6, $7))
            ORDER BY difference`,
          values: [
            JSON.stringify(toward(direction)),
            query.embeddingVersion,
            query.repository ?? null,
            query.types ?? null,
            query.states ?? null,
            query.excludeReflections ?? null,
            limit,
          ],
        });
        const passing = rows.filter((row) => passes(row, query) && row.embeddingVersion === query.embeddingVersion);
        expect(found.rows).toHaveLength(Math.min(limit, passing.length));
        expect(passing.map(({ id }) => id)).toEqual(expect.arrayContaining(found.rows.map(({ id }) => id)));
        return found.rows.map(({ difference }) => difference);
      };
      expect(await differences('in_index')).toEqual(await differences('by_scan'));
    }),
    { numRuns: 40 },
  );
});

test.each([1536, 384])(
  'the signs of two embeddings of %i numbers differ in proportion to their angle',
  async (width) => {
    const numbers = (seed: number): number[] =>
      vector(...Array.from({ length: width }, (_, place) => Math.sin(seed * 12_345.678 + (place + 1) ** 2)));
    await fc.assert(
      fc.asyncProperty(fc.nat(1000), fc.nat(1000), fc.nat(10), async (one, other, share) => {
        const a = numbers(one);
        const direction = numbers(other);
        const b = a.map((number, place) => (number * share) / 10 + (direction[place] ?? 0));
        const { rows } = await db.query<{ difference: number }>({
          text: 'SELECT facteur.embedding_signs($1::vector) <~> facteur.embedding_signs($2::vector) AS difference',
          values: [JSON.stringify(a), JSON.stringify(b)],
        });
        // Five standard deviations of 1,536 independent signs.
        const angle = Math.acos(Math.min(1, cosine(a, b))) / Math.PI;
        expect(Math.abs((rows[0]?.difference ?? NaN) / 1536 - angle)).toBeLessThan(0.065);
      }),
      { numRuns: 30 },
    );
  },
);

test('for any filters, a search by words finds exactly the rows that have one of them', async () => {
  const rows = await corpus();
  const words = fc.subarray(WORDS, { minLength: 1, maxLength: 5 });
  for (const exactBelow of [1000, 0]) {
    await fc.assert(
      fc.asyncProperty(queries(rows), words, async (filters, wanted) => {
        const { embeddingVersion: _, ...query } = filters;
        const found = await searchReflections(db, { ...query, text: wanted.join(', '), limit: 100, exactBelow });
        const having = rows.filter(
          (row) => passes(row, query) && wanted.some((word) => row.content.split(' ').includes(word)),
        );
        expect(ids(found).toSorted()).toEqual(ids(having).toSorted());
        expect(found.every(({ similarity, vectorRank }) => similarity === null && vectorRank === null)).toBe(true);
      }),
      { numRuns: 40 },
    );
  }
});

test('a combined search orders by the sum of 1 / (60 + rank), and a row without a word has no word rank', async () => {
  const rows = await corpus();
  await fc.assert(
    fc.asyncProperty(
      queries(rows),
      directions,
      fc.subarray(WORDS, { minLength: 1 }),
      async (filters, direction, words) => {
        const query = { ...filters, embedding: toward(direction), text: words.join(' '), limit: 100 };
        const found = await searchReflections(db, query);
        const score = ({ vectorRank, wordRank }: FoundReflection): number =>
          (vectorRank === null ? 0 : 1 / (60 + vectorRank)) + (wordRank === null ? 0 : 1 / (60 + wordRank));
        const scores = found.map(score);
        expect(scores).toEqual(scores.toSorted((a, b) => b - a));
        const byId = new Map(rows.map((row) => [row.id, row]));
        for (const { id, wordRank, similarity, content } of found) {
          const row = byId.get(id)!;
          expect(passes(row, query)).toBe(true);
          expect(wordRank === null).toBe(!words.some((word) => content.split(' ').includes(word)));
          expect(similarity === null).toBe(row.embeddingVersion !== filters.embeddingVersion);
        }
      },
    ),
    { numRuns: 40 },
  );
});

test('finds the only row that passes a filter, however distant it is', async () => {
  const near = Array.from({ length: 300 }, (_, place) => ({
    content: 'near',
    embedding: vector(1, place / 1000),
    embeddingVersion: 'v',
  }));
  const far = { content: 'far', type: 'rare', embedding: vector(-1, 0.5), embeddingVersion: 'v' };
  const rows = await seedReflections(db, [...near, far]);
  const query = { embedding: vector(1), embeddingVersion: 'v', types: ['rare'], limit: 5 };
  const one = [{ id: rows.at(-1)!.id }];
  expect(await searchReflections(db, query)).toMatchObject(one);
  expect(await searchReflections(db, { ...query, exactBelow: 0 })).toMatchObject(one);
});

test('zero embeddings are not found by similarity, and hide no other row', async () => {
  const rows = await seedReflections(db, [
    { content: 'zero', embedding: vector(0), embeddingVersion: 'v' },
    { content: 'one', embedding: vector(1), embeddingVersion: 'v' },
  ]);
  const found = await searchReflections(db, { embedding: vector(0.5), embeddingVersion: 'v', limit: 5 });
  expect(found).toMatchObject([{ id: rows[1]!.id, similarity: 1 }]);
  const both = await searchReflections(db, { text: 'zero', embedding: vector(1), embeddingVersion: 'v', limit: 5 });
  expect(both).toMatchObject([
    { id: rows[1]!.id, similarity: 1, wordRank: null },
    { id: rows[0]!.id, similarity: null, vectorRank: null, wordRank: 1 },
  ]);
});

test.each([
  ['an empty query', {}],
  ['only stop words', { text: 'the of and' }],
  ['only punctuation', { text: `'\\ | & ! :* ((` }],
  ['an embedding without a version', { embedding: vector(1) }],
])('%s finds nothing', async (_what, query) => {
  await seedReflections(db, [{ content: 'the one', embedding: vector(1), embeddingVersion: 'v' }]);
  expect(await searchReflections(db, { ...query, limit: 5 })).toEqual([]);
});

test('query syntax is treated as plain words', async () => {
  await seedReflections(db, [{ content: `o'clock a\\b "quoted" 100% :* x|y` }]);
  for (const text of [`o'clock`, 'a\\b', '"quoted"', 'x|y !quoted']) {
    expect(await searchReflections(db, { text, limit: 5 })).toHaveLength(1);
  }
});

test('a search for a long text looks up its rarest words', async () => {
  await seedReflections(
    db,
    Array.from({ length: 400 }, (_, place) => ({
      content: `common usual word${place % 100} ${place === 7 ? 'singular' : 'plural'}`,
    })),
  );
  await db.session((session) => session.query({ text: 'ANALYZE facteur.reflection_standing' }));
  const terms = async (text: string, reach: number): Promise<string | undefined> => {
    const { rows } = await db.query<{ terms: string }>({
      text: 'SELECT facteur.rarest_terms($1, $2)::text AS terms',
      values: [text, reach],
    });
    return rows[0]?.terms;
  };
  expect(await terms('common usual word5 singular', 400)).toBe(`'singular' | 'word5' | 'common' | 'usual'`);
  expect(await terms('common usual word5 singular', 100_000)).toBe(`'singular' | 'word5'`);
  expect(await terms('common usual', 100_000)).toMatch(/^'(common|usual)'$/);
});
