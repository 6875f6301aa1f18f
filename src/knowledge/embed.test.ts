import type { ServerResponse } from 'node:http';
import { expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { createLogger } from '../base/logger.ts';
import { Secret } from '../base/secret.ts';
import { createEmbeddingsClient } from '../clients/embeddings/client.ts';
import type { EmbeddingsConfig } from '../config/config.ts';
import { answerFor, startEndpoint, vectorOf } from '../../test/support/embeddings.ts';
import { batches, endpointEmbedder, ngramEmbedder, type EmbeddedText, type Embedder } from './embed.ts';
import { instantTimer } from '../../test/support/instant-timer.ts';

const NEVER = new AbortController().signal;
const TEXTS = ['alpha', 'be', 'gamma ray', 'delta!'];

interface Settings extends Partial<EmbeddingsConfig> {
  readonly url: string;
}

function embedderFor(settings: Settings) {
  const timer = instantTimer();
  const log: string[] = [];
  const config = { model: 'm', queryPrefix: '', passagePrefix: '', timeoutMs: 60_000, ...settings };
  const client = createEmbeddingsClient({
    ...config,
    proxies: { noProxy: '' },
    clock: systemClock,
    elapsedMs: () => timer.elapsedMs(),
  });
  onTestFinished(() => client.close());
  const embedder: Embedder = endpointEmbedder({
    client,
    settings: config,
    timer,
    logger: createLogger('debug', { write: (line) => log.push(line) }),
  });
  return { embedder, timer, log };
}

/** The vector of a text without its scale and its zero padding. */
function madeOf(made: EmbeddedText | undefined): number[] | undefined {
  const first = made?.embedding[2] ?? 0;
  return made?.embedding.slice(0, 4).map((number) => Math.round(number / first));
}

const all: readonly (number[] | undefined)[] = TEXTS.map(vectorOf);
const without = (place: number) => all.with(place, undefined);

test('each text gets its own vector, normalized and with 1,536 numbers, and a version', async () => {
  const { url, requests } = await startEndpoint(({ body }) => ({ body: answerFor(body.input) }));
  const { embedder } = embedderFor({ url: `${url}/v1`, apiKey: new Secret('key') });
  const made = await embedder.embedPassages(TEXTS, NEVER);
  expect(made.map(madeOf)).toEqual(all);
  expect(made.map((one) => one?.version)).toEqual(['m@4', 'm@4', 'm@4', 'm@4']);
  expect(made.map((one) => one?.embedding.length)).toEqual([1536, 1536, 1536, 1536]);
  expect(Math.hypot(...(made[0]?.embedding ?? []))).toBeCloseTo(1, 6);
  expect(requests).toEqual([
    {
      path: '/v1/embeddings',
      authorization: 'Bearer key',
      body: { model: 'm', input: TEXTS, encoding_format: 'float' },
    },
  ]);
});

test.each([
  ['', '/embeddings'],
  ['/v1', '/v1/embeddings'],
  ['/v1/embeddings', '/v1/embeddings'],
  ['/x/embeddings?api-version=2', '/x/embeddings?api-version=2'],
])('the URL …%s is requested at %s', async (path, expected) => {
  const { url, requests } = await startEndpoint(({ body }) => ({ body: answerFor(body.input) }));
  await embedderFor({ url: url + path }).embedder.embedQuery('x', NEVER);
  expect(requests.map((request) => request.path)).toEqual([expected]);
});

test('requests the configured dimensions, and requires them in each answer', async () => {
  const { url, requests } = await startEndpoint(({ body }) => ({ body: answerFor(body.input) }));
  expect(await embedderFor({ url, dimensions: 4 }).embedder.embedQuery('x', NEVER)).toMatchObject({ version: 'm@4' });
  expect(await embedderFor({ url, dimensions: 8 }).embedder.embedQuery('x', NEVER)).toBeUndefined();
  expect(requests.map(({ body }) => body.dimensions)).toEqual([4, 8]);
});

test('prefixes are put before queries and passages, and are part of the version', async () => {
  const { url, requests } = await startEndpoint(({ body }) => ({ body: answerFor(body.input) }));
  const { embedder } = embedderFor({ url, queryPrefix: 'query: ', passagePrefix: 'passage: ' });
  const query = await embedder.embedQuery('a', NEVER);
  const passage = await embedder.embedPassage('a', NEVER);
  expect(requests.map(({ body }) => body.input)).toEqual([['query: a'], ['passage: a']]);
  expect(query?.version).toBe(passage?.version);
  expect(query?.version).toMatch(/^m@4\+[0-9a-f]{8}$/);
});

test.each<[string, (texts: readonly string[]) => unknown, readonly (number[] | undefined)[]]>([
  ['in a different order', (texts) => ({ data: answerFor(texts).data.toReversed() }), all],
  ['without indices', (texts) => ({ data: texts.map((text) => ({ embedding: vectorOf(text) })) }), all],
  [
    'in base64 despite float',
    (texts) => ({
      data: texts.map((text, index) => ({
        index,
        embedding: Buffer.from(new Float32Array(vectorOf(text)).buffer).toString('base64'),
      })),
    }),
    all,
  ],
  ['one with a null', withVector(1, [1, null, 1, 0]), without(1)],
  ['one NaN in base64', withVector(1, Buffer.from(new Float32Array([1, NaN]).buffer).toString('base64')), without(1)],
  ['one all zero', withVector(2, [0, 0, 0, 0]), without(2)],
  [
    'one too long',
    withVector(
      2,
      Array.from({ length: 1537 }, () => 1),
    ),
    without(2),
  ],
  ['one empty', withVector(0, []), without(0)],
  ['one in truncated base64', withVector(0, 'AACAPwA='), without(0)],
])('an answer with vectors (%s) gives no text a wrong vector', async (_what, answer, expected) => {
  const { url } = await startEndpoint(({ body }) => ({ body: answer(body.input) }));
  expect((await embedderFor({ url, dimensions: 4 }).embedder.embedPassages(TEXTS, NEVER)).map(madeOf)).toEqual(
    expected,
  );
});

function withVector(place: number, embedding: unknown) {
  return (texts: readonly string[]): unknown => ({
    data: answerFor(texts).data.map((item: object, index: number) => (index === place ? { ...item, embedding } : item)),
  });
}

test.each<[string, unknown]>([
  ['invalid JSON', '<html>'],
  ['NaN, which is invalid JSON', '{"data":[{"index":0,"embedding":[NaN]}]}'],
  ['no list', { data: {} }],
  ['a list of something else', { data: [1, 2, 3, 4] }],
  ['too few vectors', answerFor(TEXTS.slice(0, 3))],
  ['too many vectors', answerFor([...TEXTS, 'more'])],
  ['the same index twice', { data: answerFor(TEXTS).data.map((item: object) => ({ ...item, index: 0 })) }],
  [
    'an index that is out of range',
    { data: answerFor(TEXTS).data.map((item: object, index: number) => ({ ...item, index: index + 1 })) },
  ],
])('an answer with %s embeds nothing, and no text is logged', async (_what, body) => {
  // An unusable answer to every request, also for one text.
  const { url } = await startEndpoint(({ body: { input } }) => ({ body: input.length === 4 ? body : { data: [] } }));
  const { embedder, log } = embedderFor({ url });
  expect(await embedder.embedPassages(TEXTS, NEVER)).toEqual([undefined, undefined, undefined, undefined]);
  expect(log.join('')).toContain('texts could not be embedded');
  expect(log.join('')).not.toMatch(/alpha|gamma/);
});

test('a text that the endpoint refuses does not affect the others in its batch', async () => {
  for (const status of [400, 500]) {
    const { url } = await startEndpoint(({ body }) =>
      body.input.includes('gamma ray') ? { status, body: { error: 'alpha' } } : { body: answerFor(body.input) },
    );
    const made = await embedderFor({ url }).embedder.embedPassages(TEXTS, NEVER);
    expect(made.map(madeOf)).toEqual(without(2));
  }
});

test('all requests respect Retry-After', async () => {
  let refusals = 2;
  const { url, requests } = await startEndpoint(({ body }) =>
    (refusals -= 1) >= 0 ? { status: 429, headers: { 'retry-after': '7' }, body: {} } : { body: answerFor(body.input) },
  );
  const { embedder, timer } = embedderFor({ url });
  // A query does not wait: a caller waits for it.
  expect(await embedder.embedQuery('x', NEVER)).toBeUndefined();
  expect(await embedder.embedQuery('x', NEVER)).toBeUndefined();
  expect(requests).toHaveLength(1);
  expect((await embedder.embedPassages(['x'], NEVER)).map((one) => one?.version)).toEqual(['m@4']);
  expect(timer.waits).toEqual([7000, 7000]);
  expect(requests).toHaveLength(3);
});

test('gives up on an endpoint that stays unavailable, after three retries', async () => {
  const { url, requests } = await startEndpoint(() => ({ status: 503, body: {} }));
  const { embedder, timer } = embedderFor({ url });
  expect(await embedder.embedPassages(['x'], NEVER)).toEqual([undefined]);
  expect(timer.waits).toEqual([500, 2000, 8000]);
  expect(requests).toHaveLength(4);
});

test('gives up on an endpoint that never answers or disconnects, and on abort', async () => {
  const silent = await startEndpoint(() => undefined);
  const rude = await startEndpoint((_request, response) => {
    response.destroy();
    return undefined;
  });
  expect(await embedderFor({ url: silent.url, timeoutMs: 50 }).embedder.embedQuery('x', NEVER)).toBeUndefined();
  expect(await embedderFor({ url: rude.url }).embedder.embedQuery('x', NEVER)).toBeUndefined();
  const gone = new AbortController();
  const abandoned = embedderFor({ url: silent.url }).embedder.embedQuery('x', gone.signal);
  gone.abort();
  expect(await abandoned).toBeUndefined();
});

test('requests have at most 64 texts and, with several texts, 200 kB', () => {
  expect(batches(Array.from({ length: 130 }, () => 'x')).map(({ length }) => length)).toEqual([64, 64, 2]);
  expect(batches(Array.from({ length: 4 }, () => 'é'.repeat(40_000))).map(({ length }) => length)).toEqual([2, 2]);
  expect(batches(Array.from({ length: 3 }, () => 'x'.repeat(100_000))).map(({ length }) => length)).toEqual([2, 1]);
  expect(batches(Array.from({ length: 2 }, () => 'x'.repeat(100_001))).map(({ length }) => length)).toEqual([1, 1]);
  expect(batches(['é'.repeat(200_000), 'x']).map(({ length }) => length)).toEqual([1, 1]);
  expect(batches([])).toEqual([]);
});

test('without an endpoint, embeds texts as n-grams, and a text without words not at all', async () => {
  const made = await ngramEmbedder.embedPassages(['deploy', '…'], NEVER);
  expect(made).toMatchObject([{ version: 'facteur-ngrams-1' }, undefined]);
  expect(Math.hypot(...(made[0]?.embedding ?? []))).toBeCloseTo(1, 6);
  expect(await ngramEmbedder.embedQuery('deploy', NEVER)).toEqual(made[0]);
});

test('a text truncated inside a character is sent without its lone surrogate', async () => {
  const { url, requests } = await startEndpoint(({ body }) => ({ body: answerFor(body.input) }));
  const { embedder } = embedderFor({ url });
  await embedder.embedPassage(`${'x'.repeat(23_999)}😀`, NEVER);
  expect(requests[0]?.body.input[0].isWellFormed()).toBe(true);
});

test('respects Retry-After even if an earlier request fails in the meantime', async () => {
  const held: ServerResponse[] = [];
  const { url, requests } = await startEndpoint(({ body }, response) => {
    if (body.input[0] === 'slow') {
      held.push(response);
      return undefined;
    }
    return { status: 429, headers: { 'retry-after': '60' }, body: {} };
  });
  const { embedder } = embedderFor({ url });
  const slow = embedder.embedQuery('slow', NEVER);
  await vi.waitFor(() => expect(held).toHaveLength(1));
  await embedder.embedQuery('refused', NEVER);
  held[0]?.writeHead(500).end('{}');
  await slow;
  await embedder.embedQuery('held back', NEVER);
  expect(requests.map(({ body }) => body.input[0])).toEqual(['slow', 'refused']);
});
