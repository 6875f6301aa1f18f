import {
  context,
  INVALID_SPAN_CONTEXT,
  metrics,
  propagation,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Link,
  type Meter,
  type Span,
  type SpanContext,
  type SpanKind,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import { errorMessage, FacteurError } from './errors.ts';
import { logText } from './redact.ts';
import { validTraceparent } from './traceparent.ts';

/**
 * Tracing and metrics for the rest of the code. The OpenTelemetry API's registry is the only global: it lets code be instrumented
 * without passing a dependency. Without a registered SDK (`src/telemetry`) everything here does almost nothing.
 */
const NAME = 'facteur';

/** Used as the span when tracing is off. */
const NO_SPAN = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

/** Incoming headers. The propagators read `traceparent`, `tracestate` and `baggage`. */
type Carrier = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface SpanSettings {
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  /** Spans of other traces that are related to this one. */
  readonly links?: Link[];
  /** The parent, if it is not the current span. */
  readonly parent?: Context;
}

/** Creates instruments. Those created before the SDK is registered record nothing. */
export function meter(): Meter {
  return metrics.getMeter(NAME);
}

/**
 * Runs `work` in a new span, the parent of spans that `work` starts. An error from `work` marks the span as failed, with the
 * error's code, and is rethrown.
 */
export async function inSpan<T>(name: string, settings: SpanSettings, work: (span: Span) => Promise<T>): Promise<T> {
  const tracer = registeredTracer();
  if (tracer === undefined) {
    return work(NO_SPAN);
  }
  const { parent = context.active(), ...options } = settings;
  const span = tracer.startSpan(name, options, parent);
  try {
    return await context.with(trace.setSpan(parent, span), work, undefined, span);
  } catch (error) {
    markFailed(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Runs `work` outside any trace, because it is not caused by its caller. */
export function outsideOfTraces<T>(work: () => T): T {
  return context.with(ROOT_CONTEXT, work);
}

/** A span that its caller ends. */
export function startSpan(name: string, { parent, ...options }: SpanSettings): Span {
  return registeredTracer()?.startSpan(name, options, parent) ?? NO_SPAN;
}

interface StandIn {
  getDelegateTracer?(name: string): Tracer | undefined;
}

/** Undefined without an SDK: then creating a span is not worth it. */
function registeredTracer(): Tracer | undefined {
  // The API's provider is a placeholder for one that may come later; asking it for a tracer would create one.
  const provider: TracerProvider & StandIn = trace.getTracerProvider();
  return provider.getDelegateTracer === undefined ? provider.getTracer(NAME) : provider.getDelegateTracer(NAME);
}

/** Records on the span why it failed: the error's code, and its message without credentials. */
function markFailed(span: Span, error: unknown): void {
  span.setAttribute('error.type', errorType(error));
  span.setStatus({ code: SpanStatusCode.ERROR, message: logText(errorMessage(error)) });
}

/** The error's code or class name, from a small set. */
export function errorType(error: unknown): string {
  if (error instanceof FacteurError) {
    return error.code;
  }
  return error instanceof Error ? error.name : 'unknown';
}

/** The trace that the headers continue, with their baggage. */
export function contextOf(headers: Carrier): Context {
  return propagation.extract(ROOT_CONTEXT, headers);
}

/** The trace of a `traceparent` from the ledger; an empty one begins a new trace. */
export function contextOfTraceparent(traceparent: string): Context {
  const valid = registeredTracer() === undefined ? '' : validTraceparent(traceparent);
  if (valid === '') {
    return ROOT_CONTEXT;
  }
  const [, traceId = '', spanId = '', flags = ''] = valid.split('-');
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}

/**
 * The parent for work whose cause carries its own trace (such as a CloudEvent inside a request): that trace, with a
 * link to the current span if it belongs to another trace.
 */
export function continuing(traceparent: string): Pick<SpanSettings, 'parent' | 'links'> {
  const named = contextOfTraceparent(traceparent);
  const present = validSpanContext(context.active());
  if (traceIdIn(named) === '' || traceIdIn(named) === present?.traceId) {
    return {};
  }
  return { parent: named, ...(present === undefined ? {} : { links: [{ context: present }] }) };
}

/** Headers that let the callee continue the current trace; empty without one. */
export function outgoingHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}

/** The id of the context's trace; empty without one. */
export function traceIdIn(active: Context): string {
  return validSpanContext(active)?.traceId ?? '';
}

/** The fields of a log line about the current span. */
export function currentTrace(): { readonly traceId: string; readonly spanId: string } | undefined {
  const span = validSpanContext(context.active());
  return span === undefined ? undefined : { traceId: span.traceId, spanId: span.spanId };
}

/** The W3C `traceparent` of the current span, to be stored so that the trace can continue later; empty without one. */
export function currentTraceparent(): string {
  const span = validSpanContext(context.active());
  if (span === undefined) {
    return '';
  }
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
}

function validSpanContext(active: Context): SpanContext | undefined {
  const span = trace.getSpanContext(active);
  return span !== undefined && trace.isSpanContextValid(span) ? span : undefined;
}
