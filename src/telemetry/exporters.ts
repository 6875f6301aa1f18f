import type { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { OtlpSettings, TelemetrySettings } from './settings.ts';

// Exporters are loaded on demand. Their arguments override what they read from the environment, which then only provides TLS
// files (OTEL_EXPORTER_OTLP_CERTIFICATE and similar).

export async function otlpTraceExporter(settings: OtlpSettings): Promise<SpanExporter> {
  const exporters =
    settings.protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new exporters.OTLPTraceExporter(optionsOf(settings));
}

export async function otlpMetricExporter(
  settings: OtlpSettings,
  temporality: TelemetrySettings['metrics']['temporality'],
): Promise<PushMetricExporter> {
  const { AggregationTemporalityPreference, OTLPMetricExporter: JsonExporter } =
    await import('@opentelemetry/exporter-metrics-otlp-http');
  const preference = {
    cumulative: AggregationTemporalityPreference.CUMULATIVE,
    delta: AggregationTemporalityPreference.DELTA,
    lowmemory: AggregationTemporalityPreference.LOWMEMORY,
  };
  const options = { ...optionsOf(settings), temporalityPreference: preference[temporality] };
  if (settings.protocol === 'http/json') {
    return new JsonExporter(options);
  }
  const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-proto');
  return new OTLPMetricExporter(options);
}

export async function otlpLogExporter(settings: OtlpSettings): Promise<LogRecordExporter> {
  const exporters =
    settings.protocol === 'http/json'
      ? await import('@opentelemetry/exporter-logs-otlp-http')
      : await import('@opentelemetry/exporter-logs-otlp-proto');
  return new exporters.OTLPLogExporter(optionsOf(settings));
}

type ExporterOptions = NonNullable<ConstructorParameters<typeof OTLPTraceExporter>[0]>;

function optionsOf({ url, headers, timeoutMs, compression }: OtlpSettings): ExporterOptions {
  return {
    url,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.reveal()])),
    timeoutMillis: timeoutMs,
    // The library's type is an enum whose values are these two words.
    compression: compression as NonNullable<ExporterOptions['compression']>,
    userAgent: 'facteur',
  };
}
