import { MAX_TIMER_MS } from '../base/timer.ts';
import { Secret } from '../base/secret.ts';

/** The encoding of OTLP bodies. */
type OtlpProtocol = 'http/protobuf' | 'http/json';

/** The OTLP destination of one signal. */
export interface OtlpSettings {
  readonly url: string;
  readonly protocol: OtlpProtocol;
  /** Usually credentials. */
  readonly headers: Readonly<Record<string, Secret>>;
  readonly timeoutMs: number;
  readonly compression: 'none' | 'gzip';
}

/** The destinations of one signal; none by default. */
interface SignalSettings {
  readonly otlp?: OtlpSettings;
  /** Whether to print to stdout, for developers. */
  readonly console: boolean;
}

/** Limits of the queue before an exporter, in items and milliseconds. */
interface BatchSettings {
  readonly scheduledDelayMillis: number;
  readonly exportTimeoutMillis: number;
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number;
}

type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio';

/** The settings from the standard `OTEL_*` variables. */
export interface TelemetrySettings {
  readonly traces: SignalSettings & {
    readonly sampler: SamplerName;
    /** The share of traces kept by the `traceidratio` samplers, 0 to 1. */
    readonly ratio: number;
    readonly batch: BatchSettings;
  };
  readonly metrics: SignalSettings & {
    /** Whether `GET /metrics` answers. */
    readonly prometheus: boolean;
    readonly intervalMs: number;
    readonly timeoutMs: number;
    readonly temporality: 'cumulative' | 'delta' | 'lowmemory';
  };
  readonly logs: SignalSettings & { readonly batch: BatchSettings };
  readonly propagators: readonly ('tracecontext' | 'baggage')[];
  /** Resource attributes from the environment. */
  readonly resource: Readonly<Record<string, string>>;
  /** Requested settings that cannot be applied, one sentence each. */
  readonly warnings: readonly string[];
}

type Signal = 'TRACES' | 'METRICS' | 'LOGS';

const SAMPLERS: readonly [SamplerName, ...SamplerName[]] = [
  'parentbased_always_on',
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_off',
  'parentbased_traceidratio',
];

/**
 * Reads the standard variables (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/). A
 * signal is exported if its exporter is set or, without one, if it has an endpoint; the default is no export. Invalid
 * settings are warnings and never errors: telemetry must not stop facteur.
 */
export function readTelemetrySettings(environment: Environment): TelemetrySettings {
  const warnings: string[] = [];
  const warn: Warn = (message) => void warnings.push(message);
  const env = text(environment, 'OTEL_SDK_DISABLED').toLowerCase() === 'true' ? {} : environment;
  const read = (signal: Signal, own: readonly string[] = []) => signalOf(env, signal, own, warn);
  const metrics = read('METRICS', ['prometheus']);
  return {
    traces: {
      ...read('TRACES').settings,
      sampler: choice(env, 'OTEL_TRACES_SAMPLER', SAMPLERS, warn),
      ratio: ratioOf(env, warn),
      batch: batchOf(env, 'OTEL_BSP', 5000, warn),
    },
    metrics: {
      ...metrics.settings,
      prometheus: metrics.exporters.includes('prometheus'),
      ...metricTimesOf(env, warn),
      temporality: choice(
        env,
        'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE',
        ['cumulative', 'delta', 'lowmemory'],
        warn,
      ),
    },
    logs: { ...read('LOGS').settings, batch: batchOf(env, 'OTEL_BLRP', 1000, warn) },
    propagators: propagatorsOf(env, warn),
    resource: resourceOf(env, warn),
    warnings,
  };
}

/** Whether anything is exported. */
export function isExporting({ traces, metrics, logs }: TelemetrySettings): boolean {
  return metrics.prometheus || [traces, metrics, logs].some((signal) => signal.otlp !== undefined || signal.console);
}

function signalOf(env: Environment, signal: Signal, own: readonly string[], warn: Warn) {
  const endpoint = endpointOf(env, signal);
  const named = text(env, `OTEL_${signal}_EXPORTER`) === '' ? undefined : list(env, `OTEL_${signal}_EXPORTER`);
  const exporters = named ?? (endpoint === undefined ? [] : ['otlp']);
  for (const exporter of exporters) {
    if (!['otlp', 'console', 'none', ...own].includes(exporter)) {
      warn(`OTEL_${signal}_EXPORTER: unknown exporter "${exporter}"; ignored`);
    }
  }
  const otlp = exporters.includes('otlp') ? otlpOf(env, signal, endpoint, warn) : undefined;
  const settings: SignalSettings = {
    console: exporters.includes('console'),
    ...(otlp === undefined ? {} : { otlp }),
  };
  return { settings, exporters };
}

function endpointOf(env: Environment, signal: Signal): string | undefined {
  const own = text(env, `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`);
  if (own !== '') {
    return own;
  }
  const shared = text(env, 'OTEL_EXPORTER_OTLP_ENDPOINT');
  return shared === '' ? undefined : `${shared.replace(/\/$/, '')}/v1/${signal.toLowerCase()}`;
}

function otlpOf(
  env: Environment,
  signal: Signal,
  endpoint = `http://localhost:4318/v1/${signal.toLowerCase()}`,
  warn: Warn,
): OtlpSettings | undefined {
  const variable = (rest: string): string =>
    text(env, `OTEL_EXPORTER_OTLP_${signal}_${rest}`) === ''
      ? `OTEL_EXPORTER_OTLP_${rest}`
      : `OTEL_EXPORTER_OTLP_${signal}_${rest}`;
  const problem = endpointProblem(endpoint) ?? protocolProblem(text(env, variable('PROTOCOL')));
  if (problem !== undefined) {
    warn(`${signal.toLowerCase()} are not exported: ${problem}`);
    return undefined;
  }
  return {
    url: endpoint,
    protocol: choice(env, variable('PROTOCOL'), ['http/protobuf', 'http/json'], warn),
    headers: {
      ...headersOf(env, 'OTEL_EXPORTER_OTLP_HEADERS', warn),
      ...headersOf(env, `OTEL_EXPORTER_OTLP_${signal}_HEADERS`, warn),
    },
    timeoutMs: positive(env, variable('TIMEOUT'), 10_000, warn),
    compression: choice(env, variable('COMPRESSION'), ['none', 'gzip'], warn),
  };
}

function endpointProblem(endpoint: string): string | undefined {
  const url = URL.parse(endpoint);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    return 'the OTLP endpoint is not an http or https URL';
  }
  // The Go service's manifests use this path, and Loki answers every OTLP request on it with an error.
  return url.pathname.endsWith('/loki/api/v1/push')
    ? "the endpoint is Loki's own push API, which does not accept OTLP; Loki accepts it at /otlp/v1/logs"
    : undefined;
}

function protocolProblem(protocol: string): string | undefined {
  return protocol === 'grpc' ? 'OTLP over gRPC is not supported; use http/protobuf' : undefined;
}

/** `name=value,name=value`, values percent-encoded. */
function headersOf(env: Environment, name: string, warn: Warn): Record<string, Secret> {
  return Object.fromEntries(Object.entries(pairs(env, name, warn)).map(([key, value]) => [key, new Secret(value)]));
}

function pairs(env: Environment, name: string, warn: Warn): Record<string, string> {
  const found: Record<string, string> = {};
  for (const pair of text(env, name).split(',')) {
    const [before = '', ...rest] = pair.split('=');
    const key = before.trim();
    const decoded = rest.length === 0 ? undefined : decode(rest.join('=').trim());
    if (key !== '' && !/\s/.test(key) && decoded !== undefined) {
      found[key] = decoded;
    } else if (pair.trim() !== '') {
      // The warning omits the text, which may be a credential.
      warn(`${name}: invalid part, expected name=value with percent-encoding; ignored`);
    }
  }
  return found;
}

function decode(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch (error) {
    if (error instanceof URIError) {
      return undefined;
    }
    throw error;
  }
}

function ratioOf(env: Environment, warn: Warn): number {
  const given = text(env, 'OTEL_TRACES_SAMPLER_ARG');
  const ratio = given === '' ? 1 : Number(given);
  if (ratio >= 0 && ratio <= 1) {
    return ratio;
  }
  warn('OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1; using 1');
  return 1;
}

function batchOf(env: Environment, prefix: string, delayMs: number, warn: Warn): BatchSettings {
  const maxQueueSize = positive(env, `${prefix}_MAX_QUEUE_SIZE`, 2048, warn);
  return {
    scheduledDelayMillis: positive(env, `${prefix}_SCHEDULE_DELAY`, delayMs, warn),
    exportTimeoutMillis: positive(env, `${prefix}_EXPORT_TIMEOUT`, 30_000, warn),
    maxQueueSize,
    maxExportBatchSize: Math.min(maxQueueSize, positive(env, `${prefix}_MAX_EXPORT_BATCH_SIZE`, 512, warn)),
  };
}

/** The timeout is at most the interval: the next export would overtake a slower one. */
function metricTimesOf(env: Environment, warn: Warn): { readonly intervalMs: number; readonly timeoutMs: number } {
  const intervalMs = positive(env, 'OTEL_METRIC_EXPORT_INTERVAL', 60_000, warn);
  return { intervalMs, timeoutMs: Math.min(intervalMs, positive(env, 'OTEL_METRIC_EXPORT_TIMEOUT', 30_000, warn)) };
}

function propagatorsOf(env: Environment, warn: Warn): TelemetrySettings['propagators'] {
  if (text(env, 'OTEL_PROPAGATORS') === '') {
    return ['tracecontext', 'baggage'];
  }
  const known = ['tracecontext', 'baggage'] as const;
  const named = list(env, 'OTEL_PROPAGATORS');
  for (const name of named) {
    if (name !== 'none' && !(known as readonly string[]).includes(name)) {
      warn(`OTEL_PROPAGATORS: unknown propagator "${name}"; ignored`);
    }
  }
  return known.filter((name) => named.includes(name));
}

/** `OTEL_SERVICE_NAMESPACE` is not a standard variable, but the Go service's manifests set it. */
function resourceOf(env: Environment, warn: Warn): Record<string, string> {
  const namespace = text(env, 'OTEL_SERVICE_NAMESPACE');
  const host = text(env, 'HOSTNAME');
  const attributes = pairs(env, 'OTEL_RESOURCE_ATTRIBUTES', warn);
  return {
    ...(host === '' ? {} : { 'host.name': host }),
    ...attributes,
    'service.name': text(env, 'OTEL_SERVICE_NAME') || (attributes['service.name'] ?? 'facteur'),
    ...(namespace === '' ? {} : { 'service.namespace': namespace }),
  };
}

/** The process's environment, passed in by `main.ts`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Receives a sentence about an error in a variable. */
type Warn = (message: string) => void;

/** A variable's trimmed text; empty if it is not set. */
function text(env: Environment, name: string): string {
  return (env[name] ?? '').trim();
}

/** The parts of a comma-separated variable, in lower case. */
function list(env: Environment, name: string): readonly string[] {
  return text(env, name)
    .split(',')
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== '');
}

/** One of the known values; the first if the variable is unset or unknown (with a warning). */
function choice<T extends string>(env: Environment, name: string, known: readonly [T, ...T[]], warn: Warn): T {
  const given = text(env, name).toLowerCase();
  const found = known.find((value) => value === given);
  if (found === undefined && given !== '') {
    warn(`${name}: must be one of ${known.join(', ')}; using ${known[0]}`);
  }
  return found ?? known[0];
}

/** A whole number that a timer accepts; `fallback` if the variable is unset or invalid (with a warning). */
function positive(env: Environment, name: string, fallback: number, warn: Warn): number {
  const given = text(env, name);
  const value = Number(given);
  if (given !== '' && !(Number.isSafeInteger(value) && value > 0 && value <= MAX_TIMER_MS)) {
    warn(`${name}: must be a whole number from 1 to ${MAX_TIMER_MS}; using ${fallback}`);
    return fallback;
  }
  return given === '' ? fallback : value;
}
