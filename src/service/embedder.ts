import { createEmbeddingsClient } from '../clients/embeddings/client.ts';
import type { Config } from '../config/config.ts';
import { endpointEmbedder, ngramEmbedder, type Embedder } from '../knowledge/embed.ts';
import type { AppContext } from './context.ts';

interface OpenEmbedder {
  readonly embedder: Embedder;
  close(): Promise<void>;
}

/** An embedder for the configured endpoint, which is contacted on first use; n-grams without one. */
export function openEmbedder(
  { embeddings, proxies }: Pick<Config, 'embeddings' | 'proxies'>,
  { clock, timer, logger }: Pick<AppContext, 'clock' | 'timer' | 'logger'>,
): OpenEmbedder {
  if (embeddings === undefined) {
    return { embedder: ngramEmbedder, close: () => Promise.resolve() };
  }
  const client = createEmbeddingsClient({ ...embeddings, proxies, clock, elapsedMs: () => timer.elapsedMs() });
  return { embedder: endpointEmbedder({ client, settings: embeddings, timer, logger }), close: () => client.close() };
}
