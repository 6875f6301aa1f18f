import { expect } from 'vitest';
import type { Queryable } from '../clients/postgres/database.ts';
import { db, test } from '../../test/support/ledger-fixture.ts';
import { seedReflections, vector } from '../../test/support/reflections.ts';
import { sampleEmbeddings } from './reflection-index.ts';

const VERSION = 'model@1536';

/** Number of pages that a statement touches. */
async function pages(ask: (explained: Queryable) => Promise<unknown>): Promise<number> {
  let touched = 0;
  await ask({
    async query({ text, values = [] }) {
      const { rows } = await db.query<{
        'QUERY PLAN': readonly [{ readonly Plan: Readonly<Record<`Shared ${'Hit' | 'Read'} Blocks`, number>> }];
      }>({ text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, values });
      const plan = rows[0]!['QUERY PLAN'][0].Plan;
      touched += plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
      return { rows: [], rowCount: 0 };
    },
  });
  return touched;
}

test('a sample reads its own embeddings, and only the ids of all others', async () => {
  const stored = 200;
  await seedReflections(
    db,
    Array.from({ length: stored }, (_, place) => ({
      content: `text ${place}`,
      embedding: vector(...Array.from({ length: 1536 }, (__, at) => Math.sin(at + place))),
      embeddingVersion: VERSION,
    })),
  );
  expect(await sampleEmbeddings(db, VERSION, 3)).toHaveLength(3);
  expect(await pages((explained) => sampleEmbeddings(explained, VERSION, 3))).toBeLessThan(stored);
});
