import * as z from 'zod';
import { retire, trust } from '../../knowledge/decide-standing.ts';
import { MAX_DESCENDANTS } from '../../ledger/reflection-standing.ts';
import { learningStats } from '../../knowledge/learning-stats.ts';
import { actorOf } from './caller.ts';
import type { ApiDeps } from './deps.ts';
import { A_REFLECTION, A_RUN } from './examples.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { ID } from './shapes.ts';

const STATES = z.enum(['quarantined', 'trusted', 'retired']);
const IDS = z.array(ID).min(1).max(100);
const REASON = z.string().max(500).default('');

const STANDING = z
  .strictObject({
    reflectionId: z.uuid(),
    runId: z.uuid(),
    type: z.string(),
    repository: z.string(),
    previousState: STATES,
    state: STATES,
    reason: z.string(),
    decidedBy: z.string(),
    isDescendant: z.boolean().meta({ description: 'Its run received one of the others, directly or not.' }),
  })
  .meta({ id: 'ReflectionStanding' });

const STANDINGS = z.strictObject({ reflections: z.array(STANDING) });

const SHARE = z.number().min(0).max(1);

const SUCCESS = z
  .strictObject({
    runs: z.int().meta({ description: 'Runs that succeeded or failed.' }),
    succeeded: z.int(),
    rate: SHARE.nullable(),
    low: SHARE.meta({ description: 'Of the 95 % Wilson interval.' }),
    high: SHARE,
  })
  .meta({ id: 'SuccessRate' });

const GROUP = z
  .strictObject({
    command: z.string(),
    repository: z.string(),
    with: SUCCESS,
    heldOut: SUCCESS.meta({ description: 'Runs that would have received reflections.' }),
    without: SUCCESS.meta({ description: 'Runs for which no reflections were found in time.' }),
    difference: z.strictObject({ value: z.number(), low: z.number(), high: z.number() }).nullable(),
  })
  .meta({ id: 'LearningGroup' });

const A_STANDING = {
  reflectionId: A_REFLECTION.reflectionId,
  runId: A_RUN.runId,
  type: A_REFLECTION.type,
  repository: 'acme/rocket',
  previousState: 'quarantined',
  state: 'trusted',
  reason: 'read and found right',
  decidedBy: 'api ops',
  isDescendant: false,
};

/** Which reflections runs may receive, and whether they help. */
export const LEARNING_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'POST',
    path: '/v1/reflections/trust',
    operationId: 'trustReflections',
    tag: 'knowledge',
    summary: 'Let runs receive reflections: all of them, or none.',
    who: { scope: 'operate' },
    body: z.strictObject({ reflectionIds: IDS, reason: REASON }),
    answers: {
      200: { description: 'The reflections.', schema: STANDINGS },
      409: { description: 'The run of one received a reflection that is not trusted.' },
    },
    example: {
      body: { reflectionIds: [A_STANDING.reflectionId], reason: A_STANDING.reason },
      answer: { reflections: [A_STANDING] },
    },
    async handle({ body: { reflectionIds, reason }, caller }, { db }: ApiDeps) {
      return {
        status: 200,
        body: { reflections: await trust(db, { reflectionIds, reason, decidedBy: actorOf(caller) }) },
      };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/reflections/retire',
    operationId: 'retireReflections',
    tag: 'knowledge',
    summary:
      'Let no run receive reflections any more: all of them, or none. The answer includes their descendants; those that were trusted automatically are quarantined.',
    who: { scope: 'operate' },
    body: z.strictObject({
      reflectionIds: IDS,
      reason: REASON,
      withDescendants: z.boolean().default(false).meta({ description: 'Retire all descendants too.' }),
    }),
    answers: {
      200: {
        description: `The reflections, then their descendants, ${MAX_DESCENDANTS} at most: those still trusted, then the oldest.`,
        schema: STANDINGS.extend({ descendants: z.int().meta({ description: 'How many descendants there are.' }) }),
      },
    },
    example: {
      body: { reflectionIds: [A_STANDING.reflectionId], reason: 'wrong since the upgrade' },
      answer: {
        reflections: [{ ...A_STANDING, previousState: 'trusted', state: 'retired', reason: 'wrong since the upgrade' }],
        descendants: 0,
      },
    },
    async handle({ body, caller }, { db }: ApiDeps) {
      const { changes: reflections, descendants } = await retire(db, { ...body, decidedBy: actorOf(caller) });
      return { status: 200, body: { reflections, descendants } };
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/knowledge/stats',
    operationId: 'getLearningStats',
    tag: 'knowledge',
    summary: 'Compare runs that received reflections with runs that were held out, by command and repository.',
    who: { scope: 'read' },
    query: z.strictObject({
      days: z
        .string()
        .regex(/^[1-9]\d{0,3}$/, 'must be a whole number from 1 to 9999')
        .default('90')
        .transform(Number),
    }),
    answers: {
      200: {
        description: 'The numbers.',
        schema: z
          .strictObject({
            groups: z.array(GROUP),
            complete: z.boolean().meta({
              description:
                'False if the period has more than 100,000 runs, of which the newest count, or more than 500 groups, of which the largest are shown.',
            }),
            reflections: z.strictObject({ quarantined: z.int(), trusted: z.int(), retired: z.int() }),
          })
          .meta({ id: 'LearningStats' }),
      },
    },
    example: {
      query: { days: '30' },
      answer: {
        groups: [
          {
            command: 'implementation',
            repository: 'acme/rocket',
            with: { runs: 40, succeeded: 31, rate: 0.775, low: 0.625, high: 0.877 },
            heldOut: { runs: 6, succeeded: 3, rate: 0.5, low: 0.188, high: 0.812 },
            without: { runs: 12, succeeded: 7, rate: 0.583, low: 0.32, high: 0.807 },
            difference: { value: 0.275, low: -0.071, high: 0.603 },
          },
        ],
        complete: true,
        reflections: { quarantined: 3, trusted: 12, retired: 1 },
      },
    },
    async handle({ query: { days } }, { db }: ApiDeps) {
      return { status: 200, body: await learningStats(db, days) };
    },
  }),
];
