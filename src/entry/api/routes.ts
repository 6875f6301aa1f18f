import * as z from 'zod';
import type { ApiDeps } from './deps.ts';
import { APPROVAL_ROUTES } from './approvals.ts';
import { CHECK_ROUTES } from './checks.ts';
import { FEEDBACK_ROUTES } from './feedback.ts';
import { IDEA_ROUTES } from './ideas.ts';
import { LEARNING_ROUTES } from './learning.ts';
import { OVERVIEW_ROUTES } from './overview.ts';
import { REFLECTION_ROUTES } from './reflections.ts';
import { REPORT_ROUTES } from './reports.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { RUN_ROUTES } from './runs.ts';
import { SUBMIT_ROUTES } from './submit.ts';
import { STREAM_ROUTES } from './stream.ts';
import { TASK_ROUTES } from './tasks.ts';
import { UNPROCESSED_ROUTES } from './unprocessed.ts';

/** The table of `/v1`. */
export const API_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  ...RUN_ROUTES,
  ...SUBMIT_ROUTES,
  ...APPROVAL_ROUTES,
  ...STREAM_ROUTES,
  ...REPORT_ROUTES,
  ...REFLECTION_ROUTES,
  ...CHECK_ROUTES,
  ...IDEA_ROUTES,
  ...TASK_ROUTES,
  ...LEARNING_ROUTES,
  ...FEEDBACK_ROUTES,
  ...UNPROCESSED_ROUTES,
  ...OVERVIEW_ROUTES,
  defineRoute({
    method: 'GET',
    path: '/v1/openapi.json',
    operationId: 'getDocument',
    tag: 'document',
    summary: 'Describe this API in OpenAPI 3.1.',
    who: { scope: 'read', self: true },
    answers: { 200: { description: 'This document.', schema: z.record(z.string(), z.unknown()) } },
    example: { answer: { openapi: '3.1.1' } },
    async handle(_request, { document }: ApiDeps) {
      return { status: 200, body: await document() };
    },
  }),
];
