import { context, SpanKind, SpanStatusCode, trace, type Attributes, type Context, type Span } from '@opentelemetry/api';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { FacteurError } from '../../base/errors.ts';
import type { LogFields, Logger } from '../../base/logger.ts';
import { histogram } from '../../base/metrics.ts';
import { SPANS } from '../../base/spans.ts';
import { contextOf, startSpan, traceIdIn } from '../../base/telemetry.ts';
import { traceIdOf, validTraceparent } from '../../base/traceparent.ts';
import { Refusal } from '../../domain/refusal.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The trace id of the request; empty if there is none. */
    traceId: string;
  }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);

/** Called every few seconds by probes: not worth a log line. */
export const PROBES: readonly string[] = ['/healthz', '/readyz', '/metrics'];

/**
 * Creates a server span for every request except probes, the parent of everything that it causes, and measures its duration.
 * Names and attributes follow https://opentelemetry.io/docs/specs/semconv/http/. Every request is also logged by its route: never
 * its URL, body or headers, which may contain secrets.
 */
export function traceRequests(app: FastifyInstance, logger: Logger): void {
  const duration = histogram('http.server.request.duration');
  const contexts = new WeakMap<FastifyRequest, Context>();
  app.decorateRequest('traceId', '');
  app.addHook('onRequest', (request, reply, done) => {
    const startedAt = performance.now();
    const attributes = requestAttributes(request);
    const active = openSpan(request, attributes);
    request.traceId = traceIdIn(active) || sentTraceId(request);
    contexts.set(request, active);
    // Unlike fastify's own hook, this also runs if the client disconnects before the answer.
    reply.raw.once('close', () => {
      const outcome = { ...attributes, ...answerAttributes(reply) };
      duration.record((performance.now() - startedAt) / 1000, outcome);
      closeSpan(trace.getSpan(active), outcome);
    });
    done();
  });
  // Reading the body loses the context that the first hook could have set.
  app.addHook('preHandler', (request, _reply, done) => {
    context.with(contexts.get(request) ?? context.active(), done);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const fields = {
      ...requestFields(request),
      method: request.method,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
    };
    logger[levelOf(request, reply)](fields, 'request answered');
    done();
  });
}

/** The results of successful requests have their own log lines, and probes fail by design while facteur starts. */
function levelOf(request: FastifyRequest, { statusCode }: FastifyReply): 'debug' | 'info' {
  return statusCode < 400 || PROBES.includes(request.routeOptions.url ?? '') ? 'debug' : 'info';
}

/** Probes come every few seconds and are not interesting: they get no span. */
function openSpan(request: FastifyRequest, attributes: Attributes): Context {
  const parent = contextOf(request.headers);
  const route = request.routeOptions.url;
  if (PROBES.includes(route ?? '')) {
    return parent;
  }
  const name = SPANS.request(String(attributes['http.request.method']), route);
  return trace.setSpan(parent, startSpan(name, { kind: SpanKind.SERVER, attributes, parent }));
}

function requestAttributes(request: FastifyRequest): Attributes {
  const route = request.routeOptions.url;
  return {
    'http.request.method': METHODS.has(request.method) ? request.method : '_OTHER',
    'url.scheme': 'http',
    ...(route === undefined ? {} : { 'http.route': route }),
  };
}

function answerAttributes({ raw }: FastifyReply): Attributes {
  if (!raw.headersSent) {
    return { 'error.type': 'aborted' };
  }
  const { statusCode } = raw;
  return {
    'http.response.status_code': statusCode,
    ...(statusCode >= 500 ? { 'error.type': String(statusCode) } : {}),
  };
}

function closeSpan(span: Span | undefined, outcome: Attributes): void {
  span?.setAttributes(outcome);
  if (outcome['error.type'] !== undefined) {
    span?.setStatus({ code: SpanStatusCode.ERROR });
  }
  span?.end();
}

/** Read from the header, because without tracing the process has no other id. */
function sentTraceId({ headers: { traceparent } }: FastifyRequest): string {
  return traceIdOf(validTraceparent(typeof traceparent === 'string' ? traceparent : undefined));
}

/** Logs why a request was not served, at a level that matches its importance for an operator. */
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

/** Fastify marks errors of the client. */
function isClientFault(error: unknown): boolean {
  const { statusCode } = error as { readonly statusCode?: unknown };
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500;
}

function requestFields(request: FastifyRequest): LogFields {
  const { traceId } = request;
  const route = request.routeOptions.url ?? '(none)';
  return traceId === '' ? { route } : { route, traceId };
}
