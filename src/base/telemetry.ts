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
import { redactText } from './redact.ts';
import { validTraceparent } from './traceparent.ts';

/**
 * What the rest of the code knows of OpenTelemetry. The API's registry is the one global there is: it exists so that code
 * is instrumented without being handed anything, and as long as no SDK is registered (`src/telemetry`) everything here
 * does next to nothing.
 */
const NAME = 'facteur';

/** Bounds of histograms of seconds, as the conventions for HTTP have them, with room for what takes minutes. */
export const SECONDS: number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

/** Stands for the span where nothing is traced. */
const NO_SPAN = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

/** Headers as they come, of which the propagators read `traceparent`, `tracestate` and `baggage`. */
export type Carrier = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface SpanSettings {
  readonly kind?: SpanKind;
  readonly attributes?: Attributes;
  /** Spans of other traces that this one has to do with. */
  readonly links?: Link[];
  /** What to go on from, where that is not what is under way. */
  readonly parent?: Context;
}

/** Makes instruments. Only what asks after the SDK was registered gets instruments that count. */
export function meter(): Meter {
  return metrics.getMeter(NAME);
}

/**
 * Runs `work` in a span of its own, which its own calls of this function become children of. What `work` throws is
 * thrown on, and marks the span as failed, with the error's code.
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

/** Runs `work` as part of no trace: what it does is not the doing of whoever happened to call. */
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

/** Undefined as long as there is no SDK: then nothing is worth the making of a span. */
function registeredTracer(): Tracer | undefined {
  // What the API hands out stands in for a provider that may come later; asked for its tracer it would make one up.
  const provider: TracerProvider & StandIn = trace.getTracerProvider();
  return provider.getDelegateTracer === undefined ? provider.getTracer(NAME) : provider.getDelegateTracer(NAME);
}

/** Says on the span why it failed: the code of the error, and its one line without credentials. */
export function markFailed(span: Span, error: unknown): void {
  span.setAttribute('error.type', errorType(error));
  span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(errorMessage(error)) });
}

/** A word for what went wrong, of which there are few. */
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

/** The trace that a `traceparent` of the ledger is part of; an empty one begins a trace. */
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
 * Where a span belongs whose cause names a trace itself (a CloudEvent inside of a request does): there, with a link to what
 * is under way, when that is another trace.
 */
export function continuing(traceparent: string): Pick<SpanSettings, 'parent' | 'links'> {
  const named = contextOfTraceparent(traceparent);
  const present = validSpanContext(context.active());
  if (traceIdIn(named) === '' || traceIdIn(named) === present?.traceId) {
    return {};
  }
  return { parent: named, ...(present === undefined ? {} : { links: [{ context: present }] }) };
}

/** The headers with which whoever is called goes on with the present trace; none when nothing is under way. */
export function outgoingHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}

/** The id of the trace that the context is part of; empty when it is part of none. */
export function traceIdIn(active: Context): string {
  return validSpanContext(active)?.traceId ?? '';
}

/** What a log line says of the span under way. */
export function currentTrace(): { readonly traceId: string; readonly spanId: string } | undefined {
  const span = validSpanContext(context.active());
  return span === undefined ? undefined : { traceId: span.traceId, spanId: span.spanId };
}

/** The W3C `traceparent` of the span under way, to be kept where the trace goes on later; empty when there is none. */
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
