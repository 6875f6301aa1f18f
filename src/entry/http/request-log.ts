import type { FastifyInstance, FastifyRequest } from 'fastify';
import { FacteurError } from '../../base/errors.ts';
import type { LogFields, Logger } from '../../base/logger.ts';
import { Refusal } from '../../domain/refusal.ts';

/** Asked every few seconds by whoever watches the process: of no interest unless looked for. */
export const PROBES: readonly string[] = ['/healthz', '/readyz', '/metrics'];

/** Logs every answered request by its route, never by its URL, body or headers: those may hold secrets. */
export function logRequests(app: FastifyInstance, logger: Logger): void {
  app.addHook('onResponse', (request, reply, done) => {
    const fields = {
      ...requestFields(request),
      method: request.method,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
    };
    if (PROBES.includes(request.routeOptions.url ?? '')) {
      logger.debug(fields, 'request answered');
    } else {
      logger.info(fields, 'request answered');
    }
    done();
  });
}

/** Logs why a request was not served, as loudly as it concerns an operator. */
export function reportFailure(error: unknown, request: FastifyRequest, logger: Logger): void {
  const fields = requestFields(request);
  if (error instanceof Refusal) {
    logger.info({ ...fields, reason: error.message, details: error.details }, 'request refused');
  } else if (error instanceof FacteurError && error.retryable) {
    logger.warn({ ...fields, error }, 'request cannot be served now');
  } else if (isClientFault(error)) {
    logger.info({ ...fields, error }, 'request broken');
  } else {
    logger.error({ ...fields, error }, 'request failed');
  }
}

/** Fastify marks what the client did wrong. */
function isClientFault(error: unknown): boolean {
  const { statusCode } = error as { readonly statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
}

function requestFields(request: FastifyRequest): LogFields {
  const { traceId } = request;
  const route = request.routeOptions.url ?? '(none)';
  return traceId === '' ? { route } : { route, traceId };
}
