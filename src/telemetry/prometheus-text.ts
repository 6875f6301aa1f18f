import type { Attributes } from '@opentelemetry/api';
import { DataPointType, type MetricData, type ResourceMetrics, MetricReader } from '@opentelemetry/sdk-metrics';

/** Gauges may query Postgres; a scrape is answered without them rather than late. */
const COLLECT_MS = 5_000;

/** Reads all metrics on request. */
export class ScrapeReader extends MetricReader {
  /** The current metrics in Prometheus's text format. */
  async text(): Promise<string> {
    const { resourceMetrics } = await this.collect({ timeoutMillis: COLLECT_MS });
    return prometheusText(resourceMetrics);
  }

  protected override async onForceFlush(): Promise<void> {
    // Nothing is sent from here, so nothing needs flushing.
  }

  protected override async onShutdown(): Promise<void> {
    // As above.
  }
}

/** A metric in Prometheus's model. */
interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly samples: string[];
}

/** Names of units in Prometheus, by UCUM code. A name that ends in `ms` needs no suffix either. */
const UNITS: Readonly<Record<string, readonly [name: string, ...alsoNamed: string[]]>> = {
  s: ['seconds'],
  ms: ['milliseconds', 'ms'],
  By: ['bytes'],
};

/**
 * Metrics in Prometheus's text format 0.0.4, by the rules of
 * https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/: units and `_total` are appended to names
 * that lack them, and the resource becomes the labels of `target_info`.
 */
function prometheusText({ resource, scopeMetrics }: ResourceMetrics): string {
  const families = new Map<string, Family>();
  families.set('target_info', {
    type: 'gauge',
    help: 'Description of the measured process',
    samples: [sample('target_info', labelsOf(resource.attributes), 1)],
  });
  for (const metric of scopeMetrics.flatMap(({ metrics }) => metrics)) {
    const type = typeOf(metric);
    if (type === undefined) {
      continue;
    }
    const name = nameOf(metric, type);
    const family = families.get(name) ?? { type, help: metric.descriptor.description, samples: [] };
    // A name has one type; instruments of another type with the same name are dropped.
    if (family.type === type) {
      family.samples.push(...samplesOf(metric, name));
      families.set(name, family);
    }
  }
  return Array.from(families, ([name, { type, help, samples }]) =>
    [`# HELP ${name} ${escape(help)}`, `# TYPE ${name} ${type}`, ...samples, ''].join('\n'),
  ).join('');
}

function typeOf(metric: MetricData): Family['type'] | undefined {
  switch (metric.dataPointType) {
    case DataPointType.SUM:
      return metric.isMonotonic ? 'counter' : 'gauge';
    case DataPointType.GAUGE:
      return 'gauge';
    case DataPointType.HISTOGRAM:
      return 'histogram';
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      // The text format does not support these, and no view uses them.
      return undefined;
  }
}

function nameOf({ descriptor: { name, unit } }: MetricData, type: Family['type']): string {
  const plain = sanitise(name).replace(/_total$/, '');
  const [unitName, ...alsoNamed] = unit === '1' && type === 'gauge' ? ['ratio'] : (UNITS[unit] ?? []);
  const isNamed = unitName === undefined || [unitName, ...alsoNamed].some((word) => plain.endsWith(`_${word}`));
  const withUnit = isNamed ? plain : `${plain}_${unitName}`;
  return type === 'counter' ? `${withUnit}_total` : withUnit;
}

function samplesOf(metric: MetricData, name: string): string[] {
  if (metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) {
    return [];
  }
  if (metric.dataPointType !== DataPointType.HISTOGRAM) {
    return metric.dataPoints.map(({ attributes, value }) => sample(name, labelsOf(attributes), value));
  }
  return metric.dataPoints.flatMap(({ attributes, value: { buckets, count, sum } }) => {
    const labels = labelsOf(attributes);
    let below = 0;
    const cumulative = buckets.boundaries.map((boundary, index) => {
      below += buckets.counts[index] ?? 0;
      return sample(`${name}_bucket`, [...labels, label('le', number(boundary))], below);
    });
    return [
      ...cumulative,
      sample(`${name}_bucket`, [...labels, label('le', '+Inf')], count),
      sample(`${name}_sum`, labels, sum ?? 0),
      sample(`${name}_count`, labels, count),
    ];
  });
}

function sample(name: string, labels: readonly string[], value: number): string {
  return `${name}${labels.length === 0 ? '' : `{${labels.join(',')}}`} ${number(value)}`;
}

/** Each name once, because Prometheus rejects a response with a duplicate. */
function labelsOf(attributes: Attributes): string[] {
  const values = new Map(Object.entries(attributes).map(([name, value]) => [sanitise(name), value]));
  return Array.from(values, ([name, value]) => label(name, typeof value === 'string' ? value : JSON.stringify(value)));
}

function label(name: string, value: string): string {
  return `${name}="${escape(value).replaceAll('"', String.raw`\"`)}"`;
}

function sanitise(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9_]+/g, '_').replace(/^(?=\d)/, '_');
}

function escape(text: string): string {
  return text.replaceAll('\\', String.raw`\\`).replaceAll('\n', String.raw`\n`);
}

function number(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) {
    return String(value);
  }
  return value > 0 ? '+Inf' : '-Inf';
}
