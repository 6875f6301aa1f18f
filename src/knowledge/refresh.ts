import { FacteurError } from '../base/errors.ts';
import type { Database } from '../clients/postgres/database.ts';
import {
  analyzeReflections,
  countStale,
  replaceEmbeddings,
  staleReflections,
  type FreshEmbedding,
  type StaleReflection,
} from '../ledger/reflection-index.ts';
import type { Embedder } from './embed.ts';

const BATCH = 64;
const FIRST = '00000000-0000-0000-0000-000000000000';
/** Embedded to find out the embedder's version. */
const PROBE = 'Which version is this?';

interface RefreshDeps {
  readonly db: Database;
  readonly embedder: Embedder;
  readonly signal: AbortSignal;
  /** Called after each batch with the number embedded so far. */
  readonly onBatch?: (refreshed: number) => void;
}

/** The result of a refresh. */
interface Refreshed {
  readonly version: string;
  /** Number of reflections with a new embedding. */
  readonly refreshed: number;
  /**
   * Number of reflections that are found only by their words: not embedded, written meanwhile, or not reached before the signal.
   */
  readonly left: number;
}

/**
 * Gives every reflection an embedding of the configured version, in place. Texts are embedded outside of transactions and written
 * only if they have not changed since. So it may run concurrently with everything else, and be stopped and restarted at any time.
 *
 * @throws FacteurError `embeddings.nothing` if none of a whole batch can be embedded: the endpoint is down
 */
export async function refreshEmbeddings({ db, embedder, signal, onBatch }: RefreshDeps): Promise<Refreshed> {
  const version = (await embedder.embedPassages([PROBE], signal))[0]?.version;
  if (version === undefined) {
    throw nothingEmbedded(1);
  }
  let refreshed = 0;
  for (
    let batch = await nextBatch(FIRST);
    batch.length > 0 && !signal.aborted;
    batch = await nextBatch(batch.at(-1)?.id ?? FIRST)
  ) {
    const fresh = await embedded(batch, embedder, signal);
    refreshed += await replaceEmbeddings(db, fresh);
    onBatch?.(refreshed);
  }
  await analyzeReflections(db);
  return { version, refreshed, left: await countStale(db, version) };

  function nextBatch(after: string): Promise<StaleReflection[]> {
    return staleReflections(db, { version: version ?? '', after, limit: BATCH });
  }
}

/** @throws FacteurError like {@link refreshEmbeddings} */
async function embedded(
  batch: readonly StaleReflection[],
  embedder: Embedder,
  signal: AbortSignal,
): Promise<FreshEmbedding[]> {
  const made = await embedder.embedPassages(
    batch.map(({ content }) => content),
    signal,
  );
  const fresh = batch.flatMap((one, place) => {
    const its = made[place];
    return its === undefined ? [] : [{ ...one, ...its }];
  });
  if (fresh.length === 0 && batch.length === BATCH && !signal.aborted) {
    throw nothingEmbedded(batch.length);
  }
  return fresh;
}

function nothingEmbedded(texts: number): FacteurError {
  const message = `none of ${texts} texts could be embedded; run it again when the embeddings endpoint works`;
  return new FacteurError('embeddings.nothing', message, { retryable: true });
}
