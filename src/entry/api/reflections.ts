import * as z from 'zod';
import {
  readReflection,
  REFLECTION_STATES,
  runRepository,
  type FoundReflection,
  type ReflectionQuery,
} from '../../ledger/search-reflections.ts';
import type { Caller } from './caller.ts';
import type { ApiDeps } from './deps.ts';
import { A_FOUND_REFLECTION } from './examples.ts';
import { embeddedOf, OWN_EMBEDDING, requireWholeEmbedding } from './own-embedding.ts';
import { ApiProblem, notFound } from './problem.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { ID, LONG_TEXT, MOMENT, STORED, TYPE } from './shapes.ts';

const DEFAULT_LIMIT = 5;
const MAX_LIMIT = 50;
/** Maximum number of runs or reflections to exclude from a search. */
const MAX_EXCLUDED = 200;

const STATE = z.enum(REFLECTION_STATES);

const KNOWN = z.strictObject({
  reflectionId: z.uuid(),
  runId: z.uuid(),
  repository: z.string().meta({ description: 'In lower case; empty if the run has none.' }),
  type: z.string(),
  author: z.string(),
  content: z.string(),
  state: STATE.meta({ description: 'Runs are given only what is `trusted`.' }),
  createdAt: MOMENT,
});

const FOUND = KNOWN.extend({
  rank: z.int().min(1).meta({ description: 'Place among all, by both rankings together.' }),
  similarity: z
    .number()
    .nullable()
    .meta({ description: 'Cosine, -1 to 1; null without embeddings of the same version to compare.' }),
  vectorRank: z.int().nullable().meta({ description: 'Place by cosine alone; null if not among the nearest.' }),
  wordRank: z.int().nullable().meta({ description: 'Place by words alone; null if it has none of them.' }),
}).meta({ id: 'FoundReflection' });

const WHOLE = KNOWN.extend({
  reason: z.string(),
  decidedBy: z.string(),
  embeddingVersion: z.string().nullable(),
  metadata: STORED,
  updatedAt: MOMENT,
}).meta({ id: 'KnownReflection' });

const REPOSITORY = z
  .string()
  .max(200)
  .regex(/^[^/\s]+\/[^/\s]+$/, 'must be owner/name')
  .meta({ examples: ['acme/rocket'] });

const SEARCH = z
  .strictObject({
    text: LONG_TEXT.min(1).optional().meta({ description: 'Found by its rarest words, and by its embedding.' }),
    ...OWN_EMBEDDING,
    repository: REPOSITORY.optional().meta({ description: 'Without regard to case. A run: its own in any case.' }),
    types: z.array(TYPE).min(1).max(20).optional(),
    states: z.array(STATE).min(1).optional().meta({ description: 'Default: all; for a run, `trusted`.' }),
    excludeRuns: z.array(ID).max(MAX_EXCLUDED).optional(),
    excludeReflections: z.array(ID).max(MAX_EXCLUDED).optional(),
    limit: z.int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
  })
  .superRefine(requireWholeEmbedding)
  .refine((body) => body.text !== undefined || body.embedding !== undefined, {
    message: 'is required unless there is an embedding',
    path: ['text'],
  });

/** Reflections of all runs. */
export const REFLECTION_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'POST',
    path: '/v1/reflections/search',
    operationId: 'searchReflections',
    tag: 'knowledge',
    summary:
      'Find reflections by words and by similarity, the best first. A run finds the trusted ones of its own repository.',
    who: { scope: 'read', self: true },
    body: SEARCH,
    answers: {
      200: {
        description: 'The reflections.',
        schema: z.strictObject({
          embeddingVersion: z
            .string()
            .nullable()
            .meta({ description: 'Whose embeddings were compared; null if only words were.' }),
          reflections: z.array(FOUND),
        }),
      },
    },
    example: {
      body: { text: 'the migration fails', repository: 'acme/rocket', limit: 1 },
      answer: {
        embeddingVersion: 'facteur-ngrams-1',
        reflections: [{ ...A_FOUND_REFLECTION, rank: 1, similarity: 0.42, vectorRank: 1, wordRank: 1 }],
      },
    },
    async handle({ caller, body, signal }, { db, knowledge }: ApiDeps) {
      const { embedding: _own, embeddingVersion: _version, ...query } = body;
      const allowed = { ...query, ...(await boundsOf(db, caller, body)) };
      const { found, embeddingVersion } = await knowledge.search({ ...allowed, embedded: embeddedOf(body) }, signal);
      return { status: 200, body: { embeddingVersion: embeddingVersion ?? null, reflections: found.map(toFound) } };
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/reflections/{reflectionId}',
    operationId: 'getReflection',
    tag: 'knowledge',
    summary: 'Get a reflection and its standing.',
    who: { scope: 'read' },
    params: z.strictObject({ reflectionId: ID }),
    answers: { 200: { description: 'The reflection.', schema: WHOLE } },
    example: {
      params: { reflectionId: A_FOUND_REFLECTION.reflectionId },
      answer: {
        ...A_FOUND_REFLECTION,
        reason: 'helped twice',
        decidedBy: 'ada',
        embeddingVersion: 'facteur-ngrams-1',
        metadata: {},
        updatedAt: A_FOUND_REFLECTION.createdAt,
      },
    },
    async handle({ params: { reflectionId } }, { db }: ApiDeps) {
      const known = await readReflection(db, reflectionId);
      if (known === undefined) {
        throw notFound('reflection');
      }
      const { id, ...rest } = known;
      return { status: 200, body: { reflectionId: id, ...rest } };
    },
  }),
];

function toFound({ id, ...rest }: FoundReflection): object {
  return { reflectionId: id, ...rest };
}

/** The filters that limit what a run may see, whatever it requests. An operator is limited only by the request. */
async function boundsOf(
  db: ApiDeps['db'],
  caller: Caller,
  { repository, states }: Pick<z.output<typeof SEARCH>, 'repository' | 'states'>,
): Promise<Pick<ReflectionQuery, 'repository' | 'states'>> {
  if (caller.kind === 'operator') {
    return {};
  }
  const own = await runRepository(db, caller.runId);
  if ((repository ?? own).toLowerCase() !== own || states?.some((state) => state !== 'trusted') === true) {
    throw new ApiProblem(403, 'forbidden', 'a run may search the trusted reflections of its own repository only');
  }
  // A run without a repository finds nothing: it has nothing in common with other such runs.
  return { repository: own, states: own === '' ? [] : ['trusted'] };
}
