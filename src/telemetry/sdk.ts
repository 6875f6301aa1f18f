import { context, metrics, propagation, trace, SeverityNumber, type Logger as RecordLogger } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, ConsoleLogRecordExporter, LoggerProvider } from '@opentelemetry/sdk-logs';
import {
  ConsoleMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type IMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BatchSpanProcessor,
  ConsoleSpanExporter,
  TracerProvider,
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node';
import { errorMessage } from '../base/errors.ts';
import type { Logger, LogSink } from '../base/logger.ts';
import { systemTimer } from '../base/timer.ts';
import { within } from '../base/within.ts';
import { otlpLogExporter, otlpMetricExporter, otlpTraceExporter } from './exporters.ts';
import { ScrapeReader } from './prometheus-text.ts';
import type { TelemetrySettings } from './settings.ts';
import type { Telemetry, TelemetryContext } from './telemetry.ts';
import { reportTroubles } from './troubles.ts';

/** How long the last export may delay the exit, in milliseconds. */
const SHUTDOWN_MS = 3_000;

/** Sets up the configured signals and registers them with the API; see `start.ts`. */
export async function startSdk(settings: TelemetrySettings, about: TelemetryContext): Promise<Telemetry> {
  const { logger } = about;
  const resource = resourceOf(settings, about);
  const scraper = settings.metrics.prometheus ? new ScrapeReader() : undefined;
  const [tracing, metering, logging] = await Promise.all([
    tracerProvider(settings, resource),
    meterProvider(settings, resource, scraper),
    loggerProvider(settings, resource),
  ]);
  const stopReporting = reportTroubles(logger);
  const unregister = register(settings, tracing, metering);
  const stopRuntime = metering === undefined ? undefined : measureRuntime(metering);
  let ended: Promise<void> | undefined;
  return {
    logSink: logging === undefined ? undefined : exportedLog(logging.getLogger('facteur')),
    scrape: scraper === undefined ? undefined : () => scraper.text(),
    shutdown() {
      ended ??= flush(
        [tracing, metering, logging].filter((provider) => provider !== undefined),
        logger,
      ).then(() => {
        stopReporting();
        stopRuntime?.();
        unregister();
      });
      return ended;
    },
  };
}

function resourceOf({ resource }: TelemetrySettings, { version, commit, instanceId }: TelemetryContext): Resource {
  return resourceFromAttributes({
    'service.instance.id': instanceId,
    'service.version': version,
    'vcs.ref.head.revision': commit,
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.name': 'opentelemetry',
    ...resource,
  });
}

async function tracerProvider({ traces }: TelemetrySettings, resource: Resource): Promise<TracerProvider | undefined> {
  const { otlp, batch } = traces;
  const exporters = [
    ...(otlp === undefined ? [] : [await otlpTraceExporter(otlp)]),
    ...(traces.console ? [new ConsoleSpanExporter()] : []),
  ];
  if (exporters.length === 0) {
    return undefined;
  }
  const spanProcessors = exporters.map((exporter) => new BatchSpanProcessor({ exporter, ...batch }));
  return new TracerProvider({ resource, spanProcessors, sampler: samplerOf(traces) });
}

async function meterProvider(
  settings: TelemetrySettings,
  resource: Resource,
  scraper: ScrapeReader | undefined,
): Promise<MeterProvider | undefined> {
  const { otlp, console, intervalMs, timeoutMs, temporality } = settings.metrics;
  const exporters = [
    ...(otlp === undefined ? [] : [await otlpMetricExporter(otlp, temporality)]),
    ...(console ? [new ConsoleMetricExporter()] : []),
  ];
  const readers: IMetricReader[] = exporters.map(
    (exporter) =>
      new PeriodicExportingMetricReader({
        exporter,
        exportIntervalMillis: intervalMs,
        exportTimeoutMillis: timeoutMs,
      }),
  );
  readers.push(...(scraper === undefined ? [] : [scraper]));
  return readers.length === 0 ? undefined : new MeterProvider({ resource, readers });
}

async function loggerProvider({ logs }: TelemetrySettings, resource: Resource): Promise<LoggerProvider | undefined> {
  const { otlp, batch } = logs;
  const exporters = [
    ...(otlp === undefined ? [] : [await otlpLogExporter(otlp)]),
    ...(logs.console ? [new ConsoleLogRecordExporter()] : []),
  ];
  if (exporters.length === 0) {
    return undefined;
  }
  const processors = exporters.map((exporter) => new BatchLogRecordProcessor({ exporter, ...batch }));
  return new LoggerProvider({ resource, processors });
}

/** Registers the providers with the API; the returned function removes them. */
function register(
  { propagators }: TelemetrySettings,
  tracing: TracerProvider | undefined,
  metering: MeterProvider | undefined,
): () => void {
  if (tracing !== undefined) {
    trace.setGlobalTracerProvider(tracing);
    context.setGlobalContextManager(new AsyncLocalStorageContextManager());
    propagation.setGlobalPropagator(
      new CompositePropagator({
        propagators: propagators.map((name) =>
          name === 'baggage' ? new W3CBaggagePropagator() : new W3CTraceContextPropagator(),
        ),
      }),
    );
  }
  if (metering !== undefined) {
    metrics.setGlobalMeterProvider(metering);
  }
  return () => {
    if (tracing !== undefined) {
      trace.disable();
      context.disable();
      propagation.disable();
    }
    if (metering !== undefined) {
      metrics.disable();
    }
  };
}

/** Flushes the rest. An endpoint that is down or hangs costs a few seconds and a log line. */
async function flush(providers: readonly { shutdown(): Promise<void> }[], logger: Logger): Promise<void> {
  const ends = Promise.allSettled(providers.map((provider) => provider.shutdown()));
  const result = await within(systemTimer, SHUTDOWN_MS, () => ends);
  const failed = result.inTime ? result.value.find((end) => end.status === 'rejected') : undefined;
  if (!result.inTime || failed !== undefined) {
    const error = failed === undefined ? `no answer in ${SHUTDOWN_MS} ms` : errorMessage(failed.reason);
    logger.warn({ error }, 'telemetry: could not send the remaining data');
  }
}

/** Coarse enough to cost nothing measurable, fine enough to show what blocks the event loop. */
const PRECISION_MS = 20;

/** Measures Node itself (event loop, garbage collection, heap); the returned function stops it. */
function measureRuntime(provider: MeterProvider): () => void {
  const runtime = new RuntimeNodeInstrumentation({ monitoringPrecision: PRECISION_MS });
  runtime.setMeterProvider(provider);
  return () => runtime.disable();
}

/** The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name. */
function samplerOf({ sampler, ratio }: Pick<TelemetrySettings['traces'], 'sampler' | 'ratio'>): Sampler {
  switch (sampler) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

const SEVERITY: Readonly<Record<string, SeverityNumber>> = {
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
};

/**
 * A sink that converts each log line, already redacted, to an OpenTelemetry record. The record belongs to the current span,
 * because lines are written during the work that they describe.
 */
function exportedLog(target: RecordLogger): LogSink {
  return {
    write(line) {
      const { level, time, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
      target.emit({
        severityNumber: SEVERITY[String(level)] ?? SeverityNumber.UNSPECIFIED,
        severityText: String(level),
        timestamp: new Date(String(time)),
        body: String(message),
        attributes: fields,
      });
    },
  };
}
