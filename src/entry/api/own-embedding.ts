import * as z from 'zod';
import { EMBEDDING_WIDTH } from '../../domain/embedding.ts';
import type { EmbeddedText } from '../../knowledge/embed.ts';

/** An embedding supplied by the caller, as fields of a body. */
export const OWN_EMBEDDING = {
  embedding: z.array(z.number()).length(EMBEDDING_WIDTH).optional(),
  embeddingVersion: z
    .string()
    .min(1)
    .max(200)
    .regex(/^(?!facteur-)/, 'must not begin with facteur-')
    .optional()
    .meta({ description: 'Names the model and how it was used: only embeddings of one version are compared.' }),
};

interface WithEmbedding {
  readonly embedding?: readonly number[] | undefined;
  readonly embeddingVersion?: string | undefined;
}

/** Requires both fields or neither, and a vector with a direction. */
export function requireWholeEmbedding({ embedding, embeddingVersion }: WithEmbedding, context: z.RefinementCtx): void {
  const fault = (message: string): void => context.addIssue({ code: 'custom', message, path: ['embedding'] });
  if ((embedding === undefined) !== (embeddingVersion === undefined)) {
    fault('is required together with embeddingVersion');
  }
  if (embedding?.some((number) => number !== 0) === false) {
    fault('must not be all zero');
  }
}

export function embeddedOf({ embedding, embeddingVersion: version }: WithEmbedding): EmbeddedText | undefined {
  return embedding === undefined || version === undefined ? undefined : { embedding, version };
}
