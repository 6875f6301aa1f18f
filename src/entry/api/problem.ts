import type { FastifyReply } from 'fastify';
import { FacteurError } from '../../base/errors.ts';
import { Refusal, type FieldFault } from '../../domain/refusal.ts';
import { REFUSAL_STATUS } from '../http/refusal-status.ts';

/** The title of each status. */
const TITLES = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
} as const;

type ProblemStatus = keyof typeof TITLES;

/** Maximum number of faults in a response: a body of 512 KiB can have 50,000, and each is written twice. */
const MAX_FAULTS = 20;

/** What a client may use in addition to the status. */
interface ProblemOptions {
  readonly faults?: readonly FieldFault[];
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A request to `/v1` that is not served (RFC 9457). `code` is stable and in snake case (`run_not_found`); `detail` is for people
 * and may change.
 */
export class ApiProblem extends FacteurError {
  readonly status: ProblemStatus;
  readonly problemCode: string;
  readonly faults: readonly FieldFault[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: ProblemStatus, problemCode: string, detail: string, options: ProblemOptions = {}) {
    super(`api.${problemCode}`, detail, { retryable: status === 503 || status === 429 });
    this.status = status;
    this.problemCode = problemCode;
    this.faults = options.faults ?? [];
    this.headers = options.headers ?? {};
  }
}

/** The body of an `application/problem+json` answer. */
interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly FieldFault[];
}

/** Errors of the use cases with a specific status, by code. */
const BY_CODE: Readonly<Record<string, readonly [ProblemStatus, string]>> = {
  'run.unknown': [404, 'run_not_found'],
  'run.not_retryable': [409, 'run_not_retryable'],
  'approval.unknown': [404, 'approval_not_found'],
  'approval.settled': [409, 'approval_settled'],
  'reflection.unknown': [404, 'reflection_not_found'],
  'reflection.distrusted_source': [409, 'reflection_distrusted_source'],
  'dead_letter.unknown': [404, 'dead_letter_not_found'],
  'dead_letter.settled': [409, 'dead_letter_settled'],
  'dead_letter.refused_run': [409, 'run_refused'],
};

/**
 * A refusal as a problem with its fields.
 *
 * @param place the prefix of the fields: `body`
 * @param whole the fault to report if the refusal has no fields
 */
export function refusalProblem(refusal: Refusal, place: string, whole: FieldFault): ApiProblem {
  const faults = (refusal.faults.length === 0 ? [whole] : refusal.faults).map(({ field, message }) => ({
    field: field === '' ? place : `${place}.${field}`,
    message,
  }));
  return faultyRequest(REFUSAL_STATUS[refusal.kind] as ProblemStatus, refusal.kind, faults);
}

/** A request with faults, each with its place. */
export function invalid(faults: readonly FieldFault[]): ApiProblem {
  return faultyRequest(400, 'invalid_request', faults);
}

function faultyRequest(status: ProblemStatus, problemCode: string, all: readonly FieldFault[]): ApiProblem {
  const faults = all.slice(0, MAX_FAULTS);
  const more = all.length > faults.length ? [`and ${all.length - faults.length} more`] : [];
  const detail = [...faults.map(({ field, message }) => `${field} ${message}`), ...more].join('; ');
  return new ApiProblem(status, problemCode, detail, { faults });
}

/** Unknown, or not visible to this caller: `run_not_found`. */
export function notFound(what: 'run' | 'idea' | 'task' | 'dependency' | 'reflection'): ApiProblem {
  return new ApiProblem(404, `${what}_not_found`, `no such ${what}`);
}

/** The body is not JSON: `unsupported_media_type`. */
export function unreadableType(): ApiProblem {
  return new ApiProblem(415, 'unsupported_media_type', 'the body must be application/json');
}

/** Converts any thrown value to a problem. Internals stay in the log. */
export function toProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) {
    return error;
  }
  if (error instanceof Refusal) {
    return new ApiProblem(REFUSAL_STATUS[error.kind] as ProblemStatus, error.kind, error.details ?? error.message);
  }
  if (error instanceof FacteurError) {
    return ofFacteurError(error);
  }
  const status = (error as { readonly statusCode?: unknown }).statusCode;
  if (status === 413) {
    return new ApiProblem(413, 'body_too_large', 'the body is too large');
  }
  if (status === 415) {
    return unreadableType();
  }
  return typeof status === 'number' && status >= 400 && status < 500
    ? new ApiProblem(400, 'bad_request', 'invalid HTTP request')
    : new ApiProblem(500, 'internal_error', 'an unexpected error occurred');
}

function ofFacteurError(error: FacteurError): ApiProblem {
  const known = BY_CODE[error.code];
  if (known !== undefined) {
    return new ApiProblem(known[0], known[1], error.message);
  }
  if (error.code === 'postgres.invalid') {
    return new ApiProblem(400, 'invalid_request', 'a value is out of range');
  }
  return error.retryable
    ? new ApiProblem(503, 'unavailable', 'try again later', { headers: { 'retry-after': '5' } })
    : new ApiProblem(500, 'internal_error', 'an unexpected error occurred');
}

/** Sends a problem, as bytes so no charset is added. */
export function sendProblem(reply: FastifyReply, problem: ApiProblem): FastifyReply {
  const body: ProblemBody = {
    type: `urn:facteur:problem:${problem.problemCode}`,
    title: TITLES[problem.status],
    status: problem.status,
    code: problem.problemCode,
    detail: problem.message,
    ...(problem.faults.length === 0 ? {} : { errors: problem.faults }),
  };
  return reply
    .code(problem.status)
    .headers({ 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...problem.headers })
    .send(Buffer.from(JSON.stringify(body), 'utf8'));
}
