import { describe, expect, test } from 'vitest';
import { isExporting, readTelemetrySettings, type Environment } from './settings.ts';

/** The destination of each signal. */
function exported(env: Environment): Record<string, unknown> {
  const settings = readTelemetrySettings(env);
  const { traces, metrics, logs } = settings;
  return {
    traces: traces.otlp?.url ?? (traces.console ? 'console' : 'none'),
    metrics: metrics.otlp?.url ?? (metrics.console ? 'console' : 'none'),
    prometheus: metrics.prometheus,
    logs: logs.otlp?.url ?? (logs.console ? 'console' : 'none'),
    on: isExporting(settings),
    warnings: settings.warnings.length,
  };
}

const NOTHING = { traces: 'none', metrics: 'none', prometheus: false, logs: 'none', on: false, warnings: 0 };

describe('what is exported', () => {
  test.each<[string, Environment, Record<string, unknown>]>([
    ['nothing by default', {}, NOTHING],
    [
      'every signal to an endpoint for all',
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318/' },
      {
        traces: 'http://otel:4318/v1/traces',
        metrics: 'http://otel:4318/v1/metrics',
        logs: 'http://otel:4318/v1/logs',
        on: true,
      },
    ],
    [
      'a signal to its own endpoint, unchanged',
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://tempo:4318/v1/traces' },
      { traces: 'http://tempo:4318/v1/traces', on: true },
    ],
    [
      'a signal to its own endpoint before the one for all',
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318', OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://loki/otlp/v1/logs' },
      {
        traces: 'http://otel:4318/v1/traces',
        metrics: 'http://otel:4318/v1/metrics',
        logs: 'http://loki/otlp/v1/logs',
        on: true,
      },
    ],
    [
      'a signal with an exporter but no endpoint to the default one',
      { OTEL_TRACES_EXPORTER: 'otlp' },
      { traces: 'http://localhost:4318/v1/traces', on: true },
    ],
    [
      'nothing if every exporter is none, despite an endpoint',
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318',
        OTEL_TRACES_EXPORTER: 'none',
        OTEL_METRICS_EXPORTER: 'none',
        OTEL_LOGS_EXPORTER: 'none',
      },
      {},
    ],
    [
      'one signal with several exporters',
      {
        OTEL_METRICS_EXPORTER: 'otlp, Prometheus',
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://mimir/otlp/v1/metrics',
      },
      { metrics: 'http://mimir/otlp/v1/metrics', prometheus: true, on: true },
    ],
    [
      'signals to the console',
      { OTEL_TRACES_EXPORTER: 'console', OTEL_LOGS_EXPORTER: 'console' },
      { traces: 'console', logs: 'console', on: true },
    ],
    [
      'nothing if the SDK is disabled, whatever else is set',
      {
        OTEL_SDK_DISABLED: 'TRUE',
        OTEL_METRICS_EXPORTER: 'prometheus',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318',
        OTEL_TRACES_SAMPLER: 'x',
      },
      {},
    ],
    [
      'nothing over gRPC, which is not supported',
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
      { warnings: 3 },
    ],
    ['nothing to an invalid URL', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'otel:4318' }, { warnings: 1 }],
    [
      "no logs to Loki's own API, which the Go service's manifests use",
      { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://loki-gateway/loki/api/v1/push' },
      { warnings: 1 },
    ],
    [
      'nothing to an unknown exporter',
      { OTEL_TRACES_EXPORTER: 'zipkin', OTEL_LOGS_EXPORTER: 'prometheus' },
      { warnings: 2 },
    ],
  ])('%s', (_name, env, wanted) => {
    expect(exported(env)).toEqual({ ...NOTHING, ...wanted });
  });
});

describe('export settings', () => {
  test('headers, protocol, timeout and compression: those of a signal override those for all', () => {
    const { traces, metrics } = readTelemetrySettings({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'https://otel',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20YTpi, x-scope=all',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-scope=traces',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
      OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: '3000',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: 'none',
    });
    expect(traces.otlp).toMatchObject({ protocol: 'http/json', timeoutMs: 2000, compression: 'gzip' });
    expect(metrics.otlp).toMatchObject({ protocol: 'http/protobuf', timeoutMs: 3000, compression: 'none' });
    expect(traces.otlp?.headers['authorization']?.reveal()).toBe('Basic YTpi');
    expect(traces.otlp?.headers['x-scope']?.reveal()).toBe('traces');
    expect(metrics.otlp?.headers['x-scope']?.reveal()).toBe('all');
  });

  test('never prints a header, not even in a warning about it', () => {
    const settings = readTelemetrySettings({
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=CANARY-token,CANARY-broken,x=%CANARY',
    });
    expect(settings.warnings).toHaveLength(2);
    expect(JSON.stringify(settings)).not.toContain('CANARY');
  });

  test('reads the queues, the sampler and the intervals, which the exporters do not read', () => {
    const { traces, metrics, logs, propagators } = readTelemetrySettings({
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
      OTEL_BSP_SCHEDULE_DELAY: '100',
      OTEL_BSP_EXPORT_TIMEOUT: '200',
      OTEL_BSP_MAX_QUEUE_SIZE: '300',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '400',
      OTEL_BLRP_SCHEDULE_DELAY: '500',
      OTEL_METRIC_EXPORT_INTERVAL: '1000',
      OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'Delta',
      OTEL_PROPAGATORS: 'tracecontext',
    });
    expect(traces).toMatchObject({ sampler: 'parentbased_traceidratio', ratio: 0.25 });
    // A batch is never larger than the queue.
    expect(traces.batch).toEqual({
      scheduledDelayMillis: 100,
      exportTimeoutMillis: 200,
      maxQueueSize: 300,
      maxExportBatchSize: 300,
    });
    expect(logs.batch).toMatchObject({ scheduledDelayMillis: 500, maxQueueSize: 2048 });
    // An export must end before the next one starts.
    expect(metrics).toMatchObject({ intervalMs: 1000, timeoutMs: 1000, temporality: 'delta' });
    expect(propagators).toEqual(['tracecontext']);
  });

  test('an invalid value causes a warning, and the default is used', () => {
    const settings = readTelemetrySettings({
      OTEL_TRACES_SAMPLER: 'sometimes',
      OTEL_TRACES_SAMPLER_ARG: '2',
      OTEL_BSP_SCHEDULE_DELAY: 'soon',
      OTEL_METRIC_EXPORT_INTERVAL: '-1',
      OTEL_BLRP_SCHEDULE_DELAY: '2147483648',
      OTEL_PROPAGATORS: 'b3,none',
    });
    expect(settings.traces).toMatchObject({ sampler: 'parentbased_always_on', ratio: 1 });
    expect(settings.traces.batch.scheduledDelayMillis).toBe(5000);
    expect(settings.metrics.intervalMs).toBe(60_000);
    // A timer with a longer delay would fire at once, again and again.
    expect(settings.logs.batch.scheduledDelayMillis).toBe(1000);
    expect(settings.propagators).toEqual([]);
    expect(settings.warnings).toHaveLength(6);
  });
});

test.each<[Environment, Record<string, string>]>([
  [{}, { 'service.name': 'facteur' }],
  [
    { OTEL_SERVICE_NAME: 'mine', OTEL_SERVICE_NAMESPACE: 'ns', HOSTNAME: 'pod-1' },
    { 'service.name': 'mine', 'service.namespace': 'ns', 'host.name': 'pod-1' },
  ],
  [
    { OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,service.namespace=a,deployment.environment.name=st%20aging' },
    { 'service.name': 'other', 'service.namespace': 'a', 'deployment.environment.name': 'st aging' },
  ],
  [
    {
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,service.namespace=a',
      OTEL_SERVICE_NAME: 'mine',
      OTEL_SERVICE_NAMESPACE: 'ns',
    },
    { 'service.name': 'mine', 'service.namespace': 'ns' },
  ],
])('the resource of %j', (env, wanted) => {
  expect(readTelemetrySettings(env).resource).toEqual(wanted);
});
