import * as z from 'zod';
import { listDeadLetters, listRefusals } from '../../ledger/unprocessed.ts';
import { dropDeadLetter, replayAndSettle, requireDeadLetter } from '../replay-dead-letter.ts';
import { actorOf } from './caller.ts';
import type { ApiDeps } from './deps.ts';
import { A_DEAD_LETTER, A_REFUSAL, A_SUBMITTED_RUN, LETTER_PARAMS } from './examples.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { LIMIT, MOMENT } from './shapes.ts';
import { submitted, SUBMITTED } from './submit.ts';

const ROW_ID = z.string().regex(/^\d{1,18}$/, 'must be a number');

const LETTER_PATH = z.strictObject({ letterId: ROW_ID });

const LETTER = z
  .strictObject({
    id: z.string(),
    door: z.string(),
    deliveryId: z.string(),
    reason: z.string(),
    attempts: z.int(),
    bytes: z.int(),
    createdAt: MOMENT,
    outcome: z.enum(['', 'replayed', 'dropped']).meta({ description: 'Empty until it is replayed or dropped.' }),
    runId: z.string().meta({ description: 'The run that it became when it was replayed; else empty.' }),
  })
  .meta({ id: 'DeadLetter' });

const REFUSAL = z
  .strictObject({
    id: z.string(),
    door: z.string(),
    deliveryId: z.string(),
    command: z.string(),
    userId: z.string(),
    reason: z.string(),
    createdAt: MOMENT,
  })
  .meta({ id: 'Refusal' });

/** Deliveries that never became a run. */
export const UNPROCESSED_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'GET',
    path: '/v1/dead-letters',
    operationId: 'listDeadLetters',
    tag: 'unprocessed',
    summary: 'List deliveries that could not be processed, oldest first.',
    who: { scope: 'read' },
    query: z.strictObject({ limit: LIMIT, after: ROW_ID.default('0') }),
    answers: { 200: { description: 'The letters.', schema: z.strictObject({ deadLetters: z.array(LETTER) }) } },
    example: { query: { limit: '10' }, answer: { deadLetters: [A_DEAD_LETTER] } },
    async handle({ query: { limit, after } }, { db }: ApiDeps) {
      return { status: 200, body: { deadLetters: await listDeadLetters(db, limit, after) } };
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/dead-letters/{letterId}',
    operationId: 'getDeadLetter',
    tag: 'unprocessed',
    summary: 'Show a dead letter in full.',
    who: { scope: 'operate' },
    params: LETTER_PATH,
    answers: {
      200: {
        description: 'The letter.',
        schema: LETTER.extend({
          headers: z.record(z.string(), z.string()),
          body: z.string().meta({ description: 'Its bytes in base64.' }),
        }).meta({ id: 'DeadLetterDetails' }),
      },
    },
    example: {
      params: LETTER_PARAMS,
      answer: {
        ...A_DEAD_LETTER,
        headers: { 'ce-id': 'gh-1', ':path': '/events' },
        body: 'eyJjb21tYW5kIjoiZGVwbG95In0=',
      },
    },
    async handle({ params: { letterId } }, { db }: ApiDeps) {
      const letter = await requireDeadLetter(db, letterId);
      return { status: 200, body: { ...letter, body: letter.body.toString('base64') } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/dead-letters/{letterId}/replay',
    operationId: 'replayDeadLetter',
    tag: 'unprocessed',
    summary: 'Process a dead letter again. It leaves the list if it is accepted.',
    who: { scope: 'operate' },
    params: LETTER_PATH,
    answers: {
      200: { description: 'The run that it became, or the existing one.', schema: SUBMITTED },
      403: { description: 'The token has no permission, or the sender still may not run the command.' },
      409: { description: 'It was already replayed or dropped, or the cluster refused its run.' },
      422: { description: 'It was refused again.' },
    },
    example: { params: LETTER_PARAMS, answer: { ...A_SUBMITTED_RUN, deliveryId: 'gh-1' } },
    async handle({ params: { letterId }, caller }, { db, dispatch, codexEnabled }: ApiDeps) {
      const receipt = await replayAndSettle(db, letterId, { dispatch, codexEnabled, actor: actorOf(caller) });
      return { status: 200, body: submitted(receipt) };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/dead-letters/{letterId}/drop',
    operationId: 'dropDeadLetter',
    tag: 'unprocessed',
    summary: 'Delete a dead letter.',
    who: { scope: 'operate' },
    params: LETTER_PATH,
    answers: {
      200: {
        description: 'It is dropped.',
        schema: z.strictObject({ id: z.string(), outcome: z.literal('dropped') }),
      },
      409: { description: 'It was already replayed.' },
    },
    example: { params: LETTER_PARAMS, answer: { id: '17', outcome: 'dropped' } },
    async handle({ params: { letterId } }, { db }: ApiDeps) {
      await dropDeadLetter(db, letterId);
      return { status: 200, body: { id: letterId, outcome: 'dropped' } };
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/refusals',
    operationId: 'listRefusals',
    tag: 'unprocessed',
    summary: 'List refused requests, newest first.',
    who: { scope: 'read' },
    query: z.strictObject({
      limit: LIMIT,
      before: ROW_ID.optional(),
      command: z.string().max(512).optional(),
      user: z.string().max(512).optional(),
    }),
    answers: { 200: { description: 'The refusals.', schema: z.strictObject({ refusals: z.array(REFUSAL) }) } },
    example: { query: { user: '42' }, answer: { refusals: [A_REFUSAL] } },
    async handle({ query: { limit, before, command, user } }, { db }: ApiDeps) {
      const refusals = await listRefusals(db, {
        limit,
        ...(before === undefined ? {} : { before }),
        ...(command === undefined ? {} : { command }),
        ...(user === undefined ? {} : { userId: user }),
      });
      return { status: 200, body: { refusals } };
    },
  }),
];
