import { describe, expect, test as plain } from 'vitest';
import type { EmbeddedText, Embedder } from '../../src/knowledge/embed.ts';
import { hits } from '../../src/knowledge/check.ts';
import { refreshEmbeddings } from '../../src/knowledge/refresh.ts';
import { searchReflections } from '../../src/ledger/search-reflections.ts';
import { startEndpoint, type EmbeddingsRequest } from '../support/embeddings.ts';
import { startFacteur } from '../support/facteur.ts';
import { receivedByAll, seedReflections, vector } from '../support/reflections.ts';
import { db, test } from '../support/ledger-fixture.ts';

const NEVER = new AbortController().signal;

describe('facteur knowledge search and show', () => {
  test('print the same from the database and from a server', async () => {
    const facteur = await startFacteur({ db, env: { FACTEUR_SERVER_API_TOKENS: 'ops' } });
    const [row] = await seedReflections(db, [
      { content: 'The migration needs pgvector 0.8.\nRead the docs.', type: 'lesson', state: 'trusted' },
      { content: 'A flaky browser test.', repository: 'other/thing' },
    ]);
    const remote = { FACTEUR_SERVER: facteur.url, FACTEUR_TOKEN: 'ops' };
    for (const args of [
      ['search', 'migrations', 'fail'],
      ['search', 'migrations', '--repository', 'ACME/rocket', '--type', 'lesson', '--state', 'trusted', '-o', 'json'],
      ['show', row!.id],
      ['show', row!.id.toUpperCase(), '-o', 'json'],
    ]) {
      const local = await facteur.cli('knowledge', ...args);
      expect(local).toMatchObject({ code: 0, stderr: '' });
      expect(local.stdout).toContain('The migration needs pgvector 0.8.');
      expect(await facteur.cliWith(remote, 'knowledge', ...args)).toEqual(local);
    }
    const { stdout } = await facteur.cli('knowledge', 'search', 'migrations fail', '-o', 'name');
    expect(stdout).toBe(`${row!.id}\n`);
    expect((await facteur.cli('knowledge', 'search', 'nothing of the kind', '--state', 'retired')).stdout).toBe(
      'no reflections found\n',
    );
  });

  test.each([
    ['limit', ['search', 'x', '--limit', '51'], 2, '--limit: must be at most 50'],
    ['state', ['search', 'x', '--state', 'good'], 2, 'quarantined'],
    ['id', ['show', '7'], 2, 'give the whole id of a reflection'],
    ['reflection', ['show', '6e3f9021-7d4c-4b8a-89e2-0f1a2b3c4d5e'], 1, 'unknown reflection 6e3f9021'],
  ])('reject an invalid or unknown %s', async (_what, args, code, message) => {
    const facteur = await startFacteur({ db });
    expect(await facteur.cli('knowledge', ...args)).toMatchObject({ code, stderr: expect.stringContaining(message) });
  });
});

test('facteur knowledge retire warns that it does not list all descendants, in text and in JSON', async () => {
  const facteur = await startFacteur({ db });
  const [source] = await seedReflections(
    db,
    Array.from({ length: 1003 }, (_, nth) => ({ content: `Lesson ${nth}` })),
  );
  await receivedByAll(db, source!);
  const json = await facteur.cli('knowledge', 'retire', source!.id, '-o', 'json');
  expect(json.stdout.trimEnd().split('\n')).toHaveLength(1001);
  expect(json).toMatchObject({ code: 0, stderr: 'facteur: warning: 2 more descendants not listed\n' });
  const text = await facteur.cli('knowledge', 'retire', source!.id);
  expect(text.stderr).toBe(json.stderr);
  expect(text.stdout).toContain('\nat least 1000 descendants not retired; --with-descendants retires them, too\n');
});

const embeddingOf = ({ body }: EmbeddingsRequest) => ({
  data: body.input.map((text: string, index: number) => ({ index, embedding: [text.includes('rocket') ? 1 : 0, 1] })),
});

describe('facteur knowledge refresh', () => {
  test('embeds texts that have no embedding or one of another model', async () => {
    const endpoint = await startEndpoint((request) => ({ body: embeddingOf(request) }));
    const env = { FACTEUR_EMBEDDINGS_URL: endpoint.url, FACTEUR_EMBEDDINGS_MODEL: 'm' };
    const facteur = await startFacteur({ db, env });
    const texts = Array.from({ length: 150 }, (_, place) => ({
      content: place === 7 ? 'A rocket.' : `Text ${place}.`,
    }));
    await seedReflections(db, [
      ...texts,
      { content: 'Old model.', embedding: vector(1), embeddingVersion: 'old@1536' },
      { content: 'Right already.', embedding: vector(0, 1), embeddingVersion: 'm@2' },
    ]);
    const { stdout } = await facteur.cli('knowledge', 'refresh', '-o', 'json');
    expect(JSON.parse(stdout)).toEqual({ version: 'm@2', refreshed: 151, left: 0 });
    expect(endpoint.requests.flatMap(({ body }) => body.input)).not.toContain('Right already.');
    expect(endpoint.requests.every(({ body }) => body.input.length <= 64)).toBe(true);
    const query = { embedding: vector(1, 1), embeddingVersion: 'm@2', limit: 1 };
    expect(await searchReflections(db, query)).toMatchObject([{ content: 'A rocket.' }]);
    const again = await facteur.cli('knowledge', 'refresh');
    expect(again.stdout).toBe('0 reflections embedded as m@2, 0 left\n');
    await db.query({ text: "UPDATE codex_kb.reflections SET embedding_version = 'old@1536'" });
    const shown = await facteur.cliOn(80, {}, 'knowledge', 'refresh');
    expect(shown.stderr).toContain('\r\u001b[K64 reflections embedded so far');
    expect(shown.stderr).toMatch(/\r\u001b\[K$/);
  });

  test('skips a text that cannot be embedded, and fails if none can', async () => {
    let isDown = false;
    const endpoint = await startEndpoint((request) =>
      isDown || request.body.input.includes('Poison.') ? { status: 400, body: {} } : { body: embeddingOf(request) },
    );
    const env = { FACTEUR_EMBEDDINGS_URL: endpoint.url, FACTEUR_EMBEDDINGS_MODEL: 'm' };
    const facteur = await startFacteur({ db, env });
    await seedReflections(db, [{ content: 'One.' }, { content: 'Poison.' }, { content: 'Two.' }]);
    const { stdout } = await facteur.cli('knowledge', 'refresh');
    expect(stdout).toBe('2 reflections embedded as m@2, 1 left\n');
    isDown = true;
    expect(await facteur.cli('knowledge', 'refresh')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('run it again when the embeddings endpoint works'),
    });
  });

  /** Calls `meanwhile` while texts are being embedded. */
  function slowEmbedder(meanwhile: () => Promise<unknown>): Embedder {
    const made: EmbeddedText = { embedding: vector(1), version: 'new' };
    return {
      isOwn: () => true,
      embedPassage: async () => made,
      embedQuery: async () => made,
      embedPassages: async (texts) => {
        if (texts.includes('First.')) {
          await meanwhile();
        }
        return texts.map(() => made);
      },
    };
  }

  test('does not give a changed text the embedding of the old one', async () => {
    await seedReflections(db, [{ content: 'First.' }, { content: 'Other.' }]);
    const embedder = slowEmbedder(() =>
      db.query({ text: `UPDATE codex_kb.reflections SET content = 'Second.' WHERE content = 'First.'` }),
    );
    expect(await refreshEmbeddings({ db, embedder, signal: NEVER })).toEqual({ version: 'new', refreshed: 1, left: 1 });
  });

  test('stops at a signal, keeps its progress, and continues later', async () => {
    await seedReflections(
      db,
      Array.from({ length: 100 }, () => ({ content: 'First.' })),
    );
    const stop = new AbortController();
    const stopping = slowEmbedder(async () => stop.abort());
    const first = await refreshEmbeddings({ db, embedder: stopping, signal: stop.signal });
    expect(first).toEqual({ version: 'new', refreshed: 64, left: 36 });
    const rest = await refreshEmbeddings({ db, embedder: slowEmbedder(async () => undefined), signal: NEVER });
    expect(rest).toEqual({ version: 'new', refreshed: 36, left: 0 });
  });
});

describe('facteur knowledge check', () => {
  test('compares searches with full comparisons, for each version and filter', async () => {
    const facteur = await startFacteur({ db });
    const rows = (count: number, version: string | null, type: string) =>
      Array.from({ length: count }, (_, place) => ({
        content: 'x',
        type,
        embedding: version === null ? null : vector(Math.cos(place), Math.sin(place), 1),
        embeddingVersion: version,
      }));
    await seedReflections(db, [...rows(40, 'a', 'critique'), ...rows(15, 'b', 'lesson'), ...rows(3, null, 'critique')]);
    const { code, stdout } = await facteur.cli('knowledge', 'check', '-o', 'json');
    const check = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(check.versions).toEqual([
      { version: 'a', reflections: 40 },
      { version: 'b', reflections: 15 },
      { version: null, reflections: 3 },
    ]);
    expect(check.recalls).toEqual(
      ['a', 'b'].flatMap((version) =>
        ['none', 'repository acme/rocket', 'type lesson'].map((filter) => ({
          version,
          filter,
          queries: version === 'a' ? 40 : 15,
          recall: 1,
        })),
      ),
    );
    const text = await facteur.cli('knowledge', 'check', '--sample', '5');
    expect(text.stdout).toMatch(/a +type lesson +5 +100\.0 %/);
  });

  test('fails with advice if the index finds too little', async () => {
    const facteur = await startFacteur({ db });
    await seedReflections(db, [{ content: 'x', embedding: vector(1), embeddingVersion: 'v' }]);
    // Until the end of this test, a search finds nothing.
    const { rows } = await db.query<{ definition: string }>({
      text: `SELECT pg_get_functiondef('facteur.nearest_of'::regproc) AS definition`,
    });
    const { definition = '' } = rows[0] ?? {};
    await db.session((session) =>
      session.query({ text: definition.replace('WHERE near.distance', 'WHERE false AND near.distance') }),
    );
    try {
      expect(await facteur.cli('knowledge', 'check')).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/finds only 0\.0 % .* REINDEX INDEX CONCURRENTLY/),
      });
    } finally {
      await db.session((session) => session.query({ text: definition }));
    }
  });

  plain('counts a found row that is as near as a missed one', () => {
    expect(hits({ exact: [0.9, 0.8, 0.8], found: [0.9, 0.8, 0.8, 0.8] })).toBe(3);
    expect(hits({ exact: [0.9, 0.8, 0.7], found: [0.9, 0.6, 0.5] })).toBe(1);
    expect(hits({ exact: [], found: [] })).toBe(0);
  });
});

test('maintenance updates the statistics of words, which the embedded engine never does automatically', async () => {
  const facteur = await startFacteur({ db });
  await seedReflections(
    db,
    Array.from({ length: 50 }, (_, place) => ({ content: `common word${place}` })),
  );
  expect((await facteur.cli('maintain')).code).toBe(0);
  const { rows } = await db.query({
    text: `SELECT 'common' = ANY (most_common_elems::text::text[]) AS known FROM pg_stats
      WHERE schemaname = 'facteur' AND tablename = 'reflection_standing' AND attname = 'terms'`,
  });
  expect(rows).toEqual([{ known: true }]);
});
