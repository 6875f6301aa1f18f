import { isRecord } from '../../base/json.ts';
import { EMBEDDING_WIDTH } from '../../domain/embedding.ts';
import { EmbeddingsError } from './errors.ts';

/** The longest wait that an endpoint may ask for, in milliseconds. */
const MAX_WAIT_MS = 300_000;

/**
 * The vectors of a success, in the order of the texts; undefined for an unusable one: of the wrong length, with a non-number in
 * it, or all zero.
 *
 * @param dimensions the requested length, if any
 * @throws EmbeddingsError `embeddings.bad_answer` if it is not clear which vector belongs to which text
 */
export function readVectors(
  body: string,
  count: number,
  dimensions: number | undefined,
): readonly (readonly number[] | undefined)[] {
  const items = inOrder(itemsOf(body), count);
  return items.map((item) => usable(numbersOf(item['embedding']), dimensions));
}

type Item = Readonly<Record<string, unknown>>;

function itemsOf(body: string): readonly Item[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (error) {
    throw new EmbeddingsError('embeddings.bad_answer', 'the embeddings endpoint did not answer with JSON', {
      cause: error instanceof SyntaxError ? undefined : error,
    });
  }
  const data = isRecord(parsed) ? parsed['data'] : undefined;
  if (!Array.isArray(data) || !data.every(isRecord)) {
    throw new EmbeddingsError('embeddings.bad_answer', 'the embeddings endpoint did not answer with a list `data`');
  }
  return data;
}

/** Sorts by `index`, which tells the text of each vector; endpoints answer in any order. */
function inOrder(items: readonly Item[], count: number): readonly Item[] {
  const byIndex = new Map(items.map((item, place) => [item['index'] ?? place, item]));
  const ordered = Array.from({ length: count }, (_, index) => byIndex.get(index));
  if (items.length !== count || !ordered.every((item) => item !== undefined)) {
    const message = `the embeddings endpoint answered with ${items.length} vectors for ${count} texts, or with invalid indices`;
    throw new EmbeddingsError('embeddings.bad_answer', message);
  }
  return ordered;
}

/** A list of numbers, or base64 of 32-bit floats, which some endpoints send regardless of the request. */
function numbersOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) {
    return value;
  }
  const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : Buffer.alloc(0);
  return bytes.length % 4 === 0
    ? Array.from({ length: bytes.length / 4 }, (_, place) => bytes.readFloatLE(place * 4))
    : [];
}

function usable(numbers: readonly unknown[], dimensions: number | undefined): readonly number[] | undefined {
  const fits = dimensions === undefined ? numbers.length > 0 : numbers.length === dimensions;
  return fits &&
    numbers.length <= EMBEDDING_WIDTH &&
    numbers.every(isFiniteNumber) &&
    numbers.some((number) => number !== 0)
    ? numbers
    : undefined;
}

function isFiniteNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

/** The typed error for a refusal. @param retryAfter the header */
export function embeddingsErrorOf(status: number, retryAfter: string | undefined, now: Date): EmbeddingsError {
  const message = `the embeddings endpoint answered ${status}`;
  if (status === 429) {
    return new EmbeddingsError('embeddings.rate_limited', message, { retryAfterMs: waitOf(retryAfter, now) ?? 1000 });
  }
  return status >= 500
    ? new EmbeddingsError('embeddings.unavailable', message, { retryAfterMs: waitOf(retryAfter, now) })
    : new EmbeddingsError('embeddings.refused', message);
}

/** Seconds, or a date. */
function waitOf(retryAfter: string | undefined, now: Date): number | undefined {
  const text = (retryAfter ?? '').trim();
  if (text === '') {
    return undefined;
  }
  const ms = /^\d{1,9}(\.\d{1,9})?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now.getTime();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(0, ms), MAX_WAIT_MS);
}
