import * as z from 'zod';
import type { ApiDeps } from './deps.ts';
import { invalid } from './problem.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { RUN } from './runs.ts';

/** Microseconds since 1970, enough until far beyond the year 2100. */
const EVENT_ID = /^\d{1,16}$/;

/** Changes as they happen. */
export const STREAM_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'GET',
    path: '/v1/runs/stream',
    operationId: 'streamRuns',
    tag: 'runs',
    summary: 'Follow the changes of all runs, as server-sent events.',
    who: { scope: 'read' },
    resumable: true,
    answers: {
      200: {
        description:
          'Events of the type `run`, whose data is the run after a change. The stream lasts until the client or the server ends it.',
        schema: z.string().meta({ examples: ['id: 1796000000000000\nevent: run\ndata: {"runId":"…"}\n\n'] }),
        contentType: 'text/event-stream',
        event: RUN,
      },
      503: {
        description: 'There are too many streams, or the database does not answer; `Retry-After` says when to retry.',
      },
    },
    example: { answer: 'id: 1796000000000000\nevent: run\ndata: {"runId":"…"}\n\n' },
    async handle({ lastEventId, signal }, { changes }: ApiDeps) {
      if (lastEventId !== '' && !EVENT_ID.test(lastEventId)) {
        throw invalid([{ field: 'header.last-event-id', message: 'must be the id of an event of this stream' }]);
      }
      const after = lastEventId === '' ? undefined : Number(lastEventId);
      const stream = await changes.open(after, signal);
      // A proxy that buffers responses would delay the events.
      return { status: 200, headers: { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' }, stream };
    },
  }),
];
