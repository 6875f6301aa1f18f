import * as z from 'zod';
import type { Written } from '../../ledger/write-report.ts';
import { ApiProblem, notFound } from './problem.ts';
import type { ApiAnswer, DocumentedAnswer } from './route.ts';

/** Maximum size of an object stored with a text, in bytes of JSON. */
const MAX_OBJECT_BYTES = 32 * 1024;
/** Maximum size of a stored text, in bytes. */
const MAX_TEXT_BYTES = 64 * 1024;

/** An id in a path. Normalized to lowercase, because other ids and URIs are derived from it. */
export const ID = z.uuid({ error: 'must be a UUID' }).toLowerCase();

export const RUN_PATH = z.strictObject({ runId: ID.meta({ description: 'The id of the run.' }) });

/** The name of a kind: of events, artifacts, reflections. */
export const TYPE = z
  .string()
  .regex(/^[a-z][a-z0-9_.-]{0,62}$/, 'must be 1 to 63 lower-case letters, digits, `_`, `.` or `-`, a letter first');

export const OBJECT = z
  .record(z.string(), z.unknown())
  .refine((value) => Buffer.byteLength(JSON.stringify(value)) <= MAX_OBJECT_BYTES, 'must have at most 32 KiB as JSON');

/** Stored unchanged, with any structure. */
export const STORED = z.record(z.string(), z.unknown());

/** A long text, which may be empty. */
export const LONG_TEXT = z
  .string()
  .refine((value) => Buffer.byteLength(value) <= MAX_TEXT_BYTES, 'must have at most 64 KiB');

export const MOMENT = z.iso.datetime();

/** A time given by a caller. */
export const TIME = z.iso
  .datetime({ offset: true, error: 'must be an ISO 8601 date and time with a zone' })
  .meta({ examples: ['2026-11-28T12:00:00Z'] });

export const NO_CURSOR = 'must be the `next` of a previous answer';

/** Maximum number of rows in a response, as written in a query. */
export const LIMIT = z
  .string()
  .regex(/^[1-9]\d{0,2}$/, 'must be a whole number from 1 to 500')
  .refine((text) => Number(text) <= 500, 'must be a whole number from 1 to 500')
  .default('50')
  .transform(Number);

/** The responses of a route that adds something under a key. */
export function writeAnswers(schema: z.ZodType): Record<number, DocumentedAnswer> {
  return {
    201: { description: 'Stored.', schema },
    200: { description: 'It was already stored; nothing changed unless the route says so.', schema },
    422: { description: 'The run has the maximum number, or 4 MiB of them (`limit_reached`).' },
  };
}

/**
 * The answer for the result of a write.
 *
 * @param parent what it was written to
 * @throws ApiProblem 404, 422 `limit_reached`, and 409 `conflict` with the field
 */
export function answerOf<T>(
  written: Written<T>,
  { parent = 'run', field = 'body' }: { readonly parent?: 'run' | 'idea' | 'task'; readonly field?: string } = {},
): ApiAnswer {
  switch (written.kind) {
    case 'created':
      return { status: 201, body: written.row };
    case 'unchanged':
      return { status: 200, body: written.row };
    case 'not_found':
      throw notFound(parent);
    case 'full':
      throw new ApiProblem(
        422,
        'limit_reached',
        `the ${parent} has the maximum number ${parent === 'run' ? 'or size ' : ''}of these`,
      );
    case 'conflict': {
      const faults = [{ field, message: 'is already in use' }];
      throw new ApiProblem(409, 'conflict', `${field} is already in use`, { faults });
    }
  }
}
