import { context, SpanKind, SpanStatusCode, trace, type Attributes, type Context, type Span } from '@opentelemetry/api';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { contextOf, meter, SECONDS, startSpan, traceIdIn } from '../../base/telemetry.ts';
import { traceIdOf, validTraceparent } from '../../base/traceparent.ts';
import { PROBES } from './request-log.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the trace that the request is part of; empty when it is part of none. */
    traceId: string;
  }
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);

/**
 * A server span around every request, which what the request causes becomes part of, and how long it took. Names and
 * attributes are those of https://opentelemetry.io/docs/specs/semconv/http/; never the URL, which may hold anything.
 */
export function traceRequests(app: FastifyInstance): void {
  const duration = meter().createHistogram('http.server.request.duration', {
    unit: 's',
    description: 'Duration of HTTP server requests.',
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const contexts = new WeakMap<FastifyRequest, Context>();
  app.decorateRequest('traceId', '');
  app.addHook('onRequest', (request, reply, done) => {
    const startedAt = performance.now();
    const attributes = requestAttributes(request);
    const active = openSpan(request, attributes);
    request.traceId = traceIdIn(active) || sentTraceId(request);
    contexts.set(request, active);
    // Unlike fastify's own hook, this comes also when the client is gone before it is answered.
    reply.raw.once('close', () => {
      const outcome = { ...attributes, ...answerAttributes(reply) };
      duration.record((performance.now() - startedAt) / 1000, outcome);
      closeSpan(trace.getSpan(active), outcome);
    });
    done();
  });
  // Reading the body leaves the context that the first hook could have set.
  app.addHook('preHandler', (request, _reply, done) => {
    context.with(contexts.get(request) ?? context.active(), done);
  });
}

/** Probes come every few seconds and tell nobody anything: they get no span. */
function openSpan(request: FastifyRequest, attributes: Attributes): Context {
  const parent = contextOf(request.headers);
  const route = request.routeOptions.url;
  if (PROBES.includes(route ?? '')) {
    return parent;
  }
  const name = `${String(attributes['http.request.method'])}${route === undefined ? '' : ` ${route}`}`;
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

/** Known from the header alone while nothing is traced here. */
function sentTraceId({ headers: { traceparent } }: FastifyRequest): string {
  return traceIdOf(validTraceparent(typeof traceparent === 'string' ? traceparent : undefined));
}
