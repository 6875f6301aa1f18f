import type { FastifyReply } from 'fastify';
import { errorMessage, FacteurError } from '../../base/errors.ts';
import { Refusal } from '../../domain/refusal.ts';
import { LateBody } from './admission.ts';
import { REFUSAL_STATUS } from './refusal-status.ts';

/** A response: a status, a JSON body, and headers beyond the usual ones. */
export interface Answer {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Reasons for a 503 with a text of their own in the contract, by error code. */
const UNAVAILABLE_TEXTS: Readonly<Record<string, string>> = {
  'codex.disabled': 'implementation orchestrator disabled',
};
const TOO_LATE: Answer = { status: 408, body: { error: 'request timeout' }, headers: { connection: 'close' } };
/** Seconds after which a sender should retry. */
const RETRY_AFTER = '5';

/** Sent as bytes, because fastify adds a charset to JSON text, and JSON has none. */
export function sendAnswer(reply: FastifyReply, { status, body, headers }: Answer): FastifyReply {
  return reply
    .code(status)
    .headers({ 'content-type': 'application/json', 'cache-control': 'no-store', ...headers })
    .send(Buffer.from(JSON.stringify(body), 'utf8'));
}

/**
 * The response for a failure. Only refusals and errors with explicit details are shown; all other errors stay in the log.
 *
 * @param failure the `error` text of this route's 500
 */
export function answerFailure(error: unknown, failure: string): Answer {
  if (error instanceof Refusal) {
    return {
      status: REFUSAL_STATUS[error.kind],
      body: withDetails(error.message, error.details),
      ...(error.kind === 'unauthorized' ? { headers: { 'www-authenticate': 'Bearer realm="facteur"' } } : {}),
    };
  }
  if (error instanceof FacteurError && error.retryable) {
    return unavailable(UNAVAILABLE_TEXTS[error.code]);
  }
  if (error instanceof LateBody) {
    return TOO_LATE;
  }
  const status = statusOfFramework(error);
  return status === undefined
    ? { status: 500, body: { error: failure } }
    : { status, body: withDetails('bad request', errorMessage(error)) };
}

/** A 503 with `Retry-After`. */
export function unavailable(error = 'dispatcher unavailable'): Answer {
  return { status: 503, body: { error }, headers: { 'retry-after': RETRY_AFTER } };
}

function withDetails(error: string, details: string | undefined): object {
  return details === undefined ? { error } : { error, details };
}

/** Errors that fastify reports about a request, such as a body with a length other than announced. */
function statusOfFramework(error: unknown): number | undefined {
  const { statusCode, code } = error as { readonly statusCode?: unknown; readonly code?: unknown };
  const ofFramework = typeof code === 'string' && (code.startsWith('FST_ERR_') || code === 'ECONNRESET');
  return ofFramework && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
    ? statusCode
    : undefined;
}
