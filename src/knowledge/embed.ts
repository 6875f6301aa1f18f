import { createHash } from 'node:crypto';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { sleep, type Timer } from '../base/timer.ts';
import type { EmbeddingsClient } from '../clients/embeddings/client.ts';
import { EmbeddingsError } from '../clients/embeddings/errors.ts';
import type { EmbeddingsConfig } from '../config/config.ts';
import { EMBEDDING_WIDTH } from '../domain/embedding.ts';
import { embedNgrams, NGRAMS_VERSION } from './ngrams.ts';

/** Limits of one request. */
const BATCH_TEXTS = 64;
const BATCH_BYTES = 200_000;
/** The rest of a text is not embedded: models read some thousand tokens, and reject or ignore more. */
const MAX_CHARACTERS = 24_000;
/** Significant digits of a stored number: 32-bit floats. */
const DIGITS = 8;

/** A text as a vector of length 1, with its version: only vectors of the same version may be compared. */
export interface EmbeddedText {
  readonly embedding: readonly number[];
  readonly version: string;
}

/** One per text, in order; undefined if there is none. */
type Embedded = readonly (EmbeddedText | undefined)[];

/** Embeds texts. No method rejects: a text without an embedding is still found by its words. */
export interface Embedder {
  /** Whether a version name belongs to this embedder: a caller's vectors must not use it. */
  isOwn(version: string): boolean;
  /** Embeds a text to store, in one attempt: somebody waits. */
  embedPassage(text: string, signal: AbortSignal): Promise<EmbeddedText | undefined>;
  /** Embeds a text to search for, in one attempt: somebody waits. */
  embedQuery(text: string, signal: AbortSignal): Promise<EmbeddedText | undefined>;
  /** Embeds many texts to store, with the delays that the endpoint asks for. */
  embedPassages(texts: readonly string[], signal: AbortSignal): Promise<Embedded>;
}

/** Works without an endpoint. */
export const ngramEmbedder: Embedder = {
  isOwn: (version) => version === NGRAMS_VERSION,
  embedPassage: (text) => Promise.resolve(ngrams(text)),
  embedQuery: (text) => Promise.resolve(ngrams(text)),
  embedPassages: (texts) => Promise.resolve(texts.map(ngrams)),
};

function ngrams(text: string): EmbeddedText | undefined {
  return stored(embedNgrams(text.slice(0, MAX_CHARACTERS)), NGRAMS_VERSION);
}

interface EndpointDeps {
  readonly client: Pick<EmbeddingsClient, 'embed'>;
  readonly settings: Pick<EmbeddingsConfig, 'model' | 'queryPrefix' | 'passagePrefix'>;
  readonly timer: Timer;
  readonly logger: Logger;
}

/** Delays between attempts at one batch, in milliseconds, unless the endpoint asks for others. */
const WAITS_MS = [500, 2000, 8000];

/** Uses a model at an endpoint. */
export function endpointEmbedder(deps: EndpointDeps): Embedder {
  const { model, queryPrefix, passagePrefix } = deps.settings;
  const one = async (text: string, signal: AbortSignal): Promise<EmbeddedText | undefined> =>
    (await attempt(deps, [text], signal, []))[0];
  return {
    isOwn: (version) => version.startsWith(`${model}@`),
    embedPassage: (text, signal) => one(prefixed(passagePrefix, text), signal),
    embedQuery: (text, signal) => one(prefixed(queryPrefix, text), signal),
    async embedPassages(texts, signal) {
      const all: (EmbeddedText | undefined)[] = [];
      for (const batch of batches(texts.map((text) => prefixed(passagePrefix, text)))) {
        all.push(...(await attempt(deps, batch, signal, WAITS_MS)));
      }
      return all;
    },
  };
}

function prefixed(prefix: string, text: string): string {
  // The cut may split a surrogate pair, and some endpoints reject a request with half of one.
  return prefix + text.slice(0, MAX_CHARACTERS).toWellFormed();
}

/** Splits texts into as few requests as possible. */
export function batches(texts: readonly string[]): string[][] {
  const made: string[][] = [];
  let bytes = 0;
  for (const text of texts) {
    const size = Buffer.byteLength(text);
    const last = made.at(-1);
    if (last === undefined || last.length === BATCH_TEXTS || bytes + size > BATCH_BYTES) {
      made.push([text]);
      bytes = size;
    } else {
      last.push(text);
      bytes += size;
    }
  }
  return made;
}

/** @param waits in milliseconds, one before each further attempt */
async function attempt(
  deps: EndpointDeps,
  texts: readonly string[],
  signal: AbortSignal,
  waits: readonly number[],
): Promise<Embedded> {
  try {
    const vectors = await deps.client.embed(texts, signal);
    const missing = vectors.filter((vector) => vector === undefined).length;
    if (missing > 0) {
      deps.logger.warn({ missing, texts: texts.length }, 'the embeddings endpoint answered with unusable vectors');
    }
    return vectors.map((vector) =>
      vector === undefined ? undefined : stored(vector, versionOf(deps.settings, vector)),
    );
  } catch (error) {
    const next = signal.aborted ? undefined : nextStep(error, texts, waits);
    if (next === undefined) {
      deps.logger.warn({ error: errorMessage(error), texts: texts.length }, 'texts could not be embedded');
      return texts.map(() => undefined);
    }
    if (next.waitMs > 0) {
      await sleep(deps.timer, next.waitMs, signal).catch(() => undefined);
    }
    const results: (EmbeddedText | undefined)[] = [];
    for (const part of next.parts) {
      results.push(...(await attempt(deps, part, signal, next.waits)));
    }
    return results;
  }
}

interface Step {
  readonly waitMs: number;
  readonly waits: readonly number[];
  readonly parts: readonly (readonly string[])[];
}

/**
 * The next step after a failure: retry later, or, if the endpoint rejects these texts, try each half separately, because one text
 * can spoil a batch. Undefined to give up.
 */
function nextStep(error: unknown, texts: readonly string[], waits: readonly number[]): Step | undefined {
  if (!(error instanceof EmbeddingsError)) {
    return undefined;
  }
  const [waitMs, ...later] = waits;
  if (error.retryable && waitMs !== undefined) {
    return { waitMs: Math.max(waitMs, error.retryAfterMs ?? 0), waits: later, parts: [texts] };
  }
  const mayBeOneText = ['embeddings.refused', 'embeddings.unavailable', 'embeddings.bad_answer'].includes(error.code);
  const half = Math.ceil(texts.length / 2);
  return mayBeOneText && texts.length > 1
    ? { waitMs: 0, waits, parts: [texts.slice(0, half), texts.slice(half)] }
    : undefined;
}

/** Prefixes change the vectors, so they are part of the version. */
function versionOf(
  { model, queryPrefix, passagePrefix }: EndpointDeps['settings'],
  { length }: readonly number[],
): string {
  const plain = `${model}@${length}`;
  if (queryPrefix === '' && passagePrefix === '') {
    return plain;
  }
  return `${plain}+${createHash('sha256')
    .update(JSON.stringify([queryPrefix, passagePrefix]))
    .digest('hex')
    .slice(0, 8)}`;
}

/** The vector with length 1, padded with zeros; undefined if it has no direction. */
function stored(vector: readonly number[], version: string): EmbeddedText | undefined {
  const length = Math.hypot(...vector);
  if (!Number.isFinite(length) || length === 0) {
    return undefined;
  }
  const numbers = vector.map((number) => Number((number / length).toPrecision(DIGITS)));
  const rest = Array.from({ length: EMBEDDING_WIDTH - vector.length }, () => 0);
  return { embedding: [...numbers, ...rest], version };
}
