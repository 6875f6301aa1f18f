import * as z from 'zod';
import { addIdea, changeIdea, findIdea, listIdeas } from '../../ledger/ideas.ts';
import { listTasksOfIdea } from '../../ledger/tasks.ts';
import type { ApiDeps } from './deps.ts';
import { AN_IDEA, A_TASK, IDEA_PARAMS } from './examples.ts';
import { ApiProblem, invalid, notFound } from './problem.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { answerOf, ID, LIMIT, MOMENT, NO_CURSOR, OBJECT, STORED, TYPE } from './shapes.ts';
import { TASK } from './tasks.ts';

const IDEA = z
  .strictObject({
    ideaId: z.uuid(),
    sourceType: z.string(),
    sourceRef: z.string(),
    priority: z.int(),
    status: z.string(),
    riskFlags: STORED,
    payload: STORED,
    createdAt: MOMENT,
    updatedAt: MOMENT,
  })
  .meta({ id: 'Idea' });

const IDEA_DETAILS = IDEA.extend({ tasks: z.array(TASK) }).meta({ id: 'IdeaDetails' });

export const IDEA_PATH = z.strictObject({ ideaId: ID });

/** The range of a smallint. */
const PRIORITY = z.int().min(-32_768).max(32_767);
/** Ideas of this type belong to the runs of commands. */
const COMMAND_SOURCE = 'discord.command';
const SOURCE_REF = z.string().min(1).max(512);

/** Ideas, the origin of work. */
export const IDEA_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'GET',
    path: '/v1/ideas',
    operationId: 'listIdeas',
    tag: 'ideas',
    summary: 'List ideas, in the order of their sources. A page ends after 4 MiB, so it may have fewer than `limit`.',
    who: { scope: 'read' },
    query: z
      .strictObject({
        sourceType: TYPE.optional(),
        sourceRef: SOURCE_REF.optional(),
        limit: LIMIT,
        cursor: z.uuid({ error: NO_CURSOR }).optional(),
      })
      .refine(({ sourceType, sourceRef }) => sourceRef === undefined || sourceType !== undefined, {
        // No index begins with `sourceRef`.
        path: ['sourceType'],
        message: 'is required with sourceRef',
      }),
    answers: {
      200: {
        description: 'A page of ideas.',
        schema: z.strictObject({
          ideas: z.array(IDEA),
          next: z.string().nullable().meta({ description: 'The cursor of the next page; null on the last one.' }),
        }),
      },
    },
    example: { query: { sourceType: 'roadmap', limit: '10' }, answer: { ideas: [AN_IDEA], next: null } },
    async handle({ query: { cursor, limit, ...filter } }, { db }: ApiDeps) {
      const { rows: ideas, hasMore } = await listIdeas(db, { ...filter, after: cursor, limit });
      if (ideas.length === 0 && cursor !== undefined && (await findIdea(db, cursor)) === undefined) {
        throw invalid([{ field: 'query.cursor', message: NO_CURSOR }]);
      }
      return { status: 200, body: { ideas, next: hasMore ? (ideas.at(-1)?.ideaId ?? null) : null } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/ideas',
    operationId: 'addIdea',
    tag: 'ideas',
    summary: 'Add an idea, identified by its source. An existing idea does not change.',
    who: { scope: 'operate' },
    body: z.strictObject({
      sourceType: TYPE.refine((type) => type !== COMMAND_SOURCE, 'is reserved').meta({ examples: ['roadmap'] }),
      sourceRef: SOURCE_REF.meta({ examples: ['2027-Q1/engine'] }),
      status: TYPE.default('received'),
      priority: PRIORITY.default(0),
      riskFlags: OBJECT.default({}),
      payload: OBJECT.default({}),
    }),
    answers: {
      201: { description: 'Stored.', schema: IDEA },
      200: { description: 'It already existed and did not change.', schema: IDEA },
    },
    example: {
      body: { sourceType: 'roadmap', sourceRef: '2027-Q1/engine', priority: 5, payload: { title: 'A quieter engine' } },
      answer: AN_IDEA,
    },
    async handle({ body }, { db }: ApiDeps) {
      const written = await addIdea(db, body);
      if (written.kind === 'conflict') {
        throw new ApiProblem(503, 'unavailable', 'another request is adding it; try again', {
          headers: { 'retry-after': '1' },
        });
      }
      return answerOf(written);
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/ideas/{ideaId}',
    operationId: 'getIdea',
    tag: 'ideas',
    summary: 'Show an idea and its tasks.',
    who: { scope: 'read' },
    params: IDEA_PATH,
    answers: { 200: { description: 'The idea.', schema: IDEA_DETAILS } },
    example: { params: IDEA_PARAMS, answer: { ...AN_IDEA, tasks: [A_TASK] } },
    async handle({ params: { ideaId } }, { db }: ApiDeps) {
      const idea = await findIdea(db, ideaId);
      if (idea === undefined) {
        throw notFound('idea');
      }
      return { status: 200, body: { ...idea, tasks: await listTasksOfIdea(db, ideaId) } };
    },
  }),
  defineRoute({
    method: 'PATCH',
    path: '/v1/ideas/{ideaId}',
    operationId: 'changeIdea',
    tag: 'ideas',
    summary: 'Change an idea; omitted fields do not change.',
    who: { scope: 'operate' },
    params: IDEA_PATH,
    body: z.strictObject({
      status: TYPE.optional(),
      priority: PRIORITY.optional(),
      riskFlags: OBJECT.optional(),
    }),
    answers: { 200: { description: 'The current idea.', schema: IDEA } },
    example: { params: IDEA_PARAMS, body: { status: 'accepted' }, answer: { ...AN_IDEA, status: 'accepted' } },
    async handle({ params: { ideaId }, body: { status, priority, riskFlags } }, { db }: ApiDeps) {
      const idea = await changeIdea(db, ideaId, { status, priority, riskFlags });
      if (idea === undefined) {
        throw notFound('idea');
      }
      return { status: 200, body: idea };
    },
  }),
];
