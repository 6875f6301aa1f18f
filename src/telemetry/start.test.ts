import { SpanKind } from '@opentelemetry/api';
import { expect, onTestFinished, test, vi } from 'vitest';
import { startOtlpReceiver } from '../../test/support/otlp.ts';
import { createLogger } from '../base/logger.ts';
import {
  currentTraceparent,
  inSpan,
  meter,
  outgoingHeaders,
  contextOf,
  contextOfTraceparent,
} from '../base/telemetry.ts';
import { FacteurError } from '../base/errors.ts';
import { startTelemetry } from './start.ts';
import type { Telemetry } from './telemetry.ts';
import type { Environment } from './settings.ts';

interface Started {
  readonly telemetry: Telemetry;
  /** Telemetry's own log lines. */
  readonly log: readonly string[];
}

/** Starts telemetry with these variables, until the end of the test. */
async function start(env: Environment): Promise<Started> {
  const log: string[] = [];
  const telemetry = await startTelemetry({
    env,
    version: '1.2.3',
    commit: 'abcdef0',
    instanceId: 'one',
    logger: createLogger('debug', { write: (line) => log.push(line) }),
  });
  onTestFinished(() => telemetry.shutdown());
  return { telemetry, log };
}

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

test('without variables, exports nothing and records no span', async () => {
  const { telemetry, log } = await start({});
  expect(telemetry).toMatchObject({ logSink: undefined, scrape: undefined });
  const seen = await inSpan('a', { parent: contextOfTraceparent(PARENT) }, async (span) => {
    meter().createCounter('b').add(1);
    return [span.isRecording(), currentTraceparent(), outgoingHeaders()];
  });
  expect(seen).toEqual([false, '', {}]);
  expect(log).toEqual([]);
});

test.each(['http/protobuf', 'http/json'])(
  'exports traces, metrics and logs over %s, with the resource and the headers',
  async (protocol) => {
    const receiver = await startOtlpReceiver();
    const { telemetry, log } = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-scope-orgid=team',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
      OTEL_SERVICE_NAMESPACE: 'ns',
      OTEL_RESOURCE_ATTRIBUTES: 'k8s.pod.name=pod-1',
    });
    const logger = createLogger('info', telemetry.logSink!);
    await inSpan('outer', { kind: SpanKind.SERVER, attributes: { a: 1, b: ['x'] } }, async () => {
      meter().createCounter('things_total').add(2, { command: 'plan' });
      meter().createHistogram('wait_seconds', { unit: 's' }).record(1.5);
      await inSpan('inner', {}, async () => logger.warn({ runId: 'r', nested: { n: 1 }, token: 'secret' }, 'hello'));
    });
    await telemetry.shutdown();

    expect(receiver.requests.map(({ path }) => path).toSorted()).toEqual(['/v1/logs', '/v1/metrics', '/v1/traces']);
    for (const { headers } of receiver.requests) {
      expect(headers).toMatchObject({
        'x-scope-orgid': 'team',
        'content-encoding': 'gzip',
        'content-type': protocol === 'http/json' ? 'application/json' : 'application/x-protobuf',
      });
    }
    const resource = {
      'service.name': 'facteur',
      'service.namespace': 'ns',
      'service.version': '1.2.3',
      'service.instance.id': 'one',
      'k8s.pod.name': 'pod-1',
      'vcs.ref.head.revision': 'abcdef0',
    };
    const [outer] = receiver.spansOf('outer');
    const [inner] = receiver.spansOf('inner');
    expect(outer).toMatchObject({ kind: 2, parentSpanId: '', status: 0, attributes: { a: 1, b: ['x'] }, resource });
    expect(inner).toMatchObject({ kind: 1, traceId: outer?.traceId, parentSpanId: outer?.spanId });
    expect(receiver.metrics().get('things_total')).toMatchObject({
      type: 'sum',
      points: [{ attributes: { command: 'plan' }, value: 2 }],
      resource,
    });
    expect(receiver.metrics().get('wait_seconds')).toMatchObject({
      type: 'histogram',
      unit: 's',
      points: [{ value: 1 }],
    });
    expect(receiver.logs()).toEqual([
      expect.objectContaining({
        body: 'hello',
        severity: 'warn',
        traceId: inner?.traceId,
        spanId: inner?.spanId,
        attributes: { traceId: inner?.traceId, spanId: inner?.spanId, runId: 'r', nested: { n: 1 }, token: '***' },
        resource: expect.objectContaining(resource),
      }),
    ]);
    expect(log).toEqual([]);
  },
);

test('a trace continues from the sender through the ledger to outgoing requests', async () => {
  const receiver = await startOtlpReceiver();
  const { telemetry } = await start({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/v1/traces` });
  const incoming = contextOf({ traceparent: PARENT, tracestate: 'a=b', baggage: 'user=1' });
  const stored = await inSpan('door', { parent: incoming }, async () => {
    expect(outgoingHeaders()).toMatchObject({ tracestate: 'a=b', baggage: 'user=1' });
    return currentTraceparent();
  });
  await inSpan('later', { parent: contextOfTraceparent(stored) }, async () => {
    expect(outgoingHeaders()).toEqual({ traceparent: currentTraceparent() });
  });
  await inSpan('new', { parent: contextOfTraceparent('') }, async () => undefined);
  await telemetry.shutdown();
  const [door] = receiver.spansOf('door');
  const [later] = receiver.spansOf('later');
  expect(door).toMatchObject({ traceId: PARENT.slice(3, 35), parentSpanId: PARENT.slice(36, 52) });
  expect(later).toMatchObject({ traceId: door?.traceId, parentSpanId: door?.spanId });
  expect(receiver.spansOf('new')[0]?.parentSpanId).toBe('');
  expect(receiver.requests.map(({ path }) => path)).toEqual(['/v1/traces']);
});

test('inSpan rethrows an error and records it on the span without credentials', async () => {
  const receiver = await startOtlpReceiver();
  const { telemetry } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_METRICS_EXPORTER: 'none' });
  const failure = new FacteurError('argo.timeout', 'no answer from https://me:CANARY@cluster', { retryable: true });
  await expect(inSpan('a', {}, () => Promise.reject(failure))).rejects.toBe(failure);
  await telemetry.shutdown();
  expect(receiver.spansOf('a')[0]).toMatchObject({
    status: 2,
    statusMessage: 'no answer from https://***@cluster',
    attributes: { 'error.type': 'argo.timeout' },
  });
});

test('does not export an unsampled trace, and keeps it unsampled in the ledger', async () => {
  const receiver = await startOtlpReceiver();
  const { telemetry } = await start({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/v1/traces` });
  const unsampled = PARENT.replace(/01$/, '00');
  const stored = await inSpan('a', { parent: contextOf({ traceparent: unsampled }) }, async () => currentTraceparent());
  expect(stored).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
  await telemetry.shutdown();
  expect(receiver.requests).toEqual([]);
});

test.each([
  ['always_off', '', 0],
  ['traceidratio', '0', 0],
  ['parentbased_traceidratio', '1', 1],
  ['parentbased_always_off', '', 0],
  ['always_on', '', 1],
])('the sampler %s with argument %j exports %i of 1', async (sampler, argument, wanted) => {
  const receiver = await startOtlpReceiver();
  const { telemetry } = await start({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/v1/traces`,
    OTEL_TRACES_SAMPLER: sampler,
    OTEL_TRACES_SAMPLER_ARG: argument,
  });
  await inSpan('a', {}, async () => undefined);
  await telemetry.shutdown();
  expect(receiver.spans()).toHaveLength(wanted);
});

test('uses the configured schedule delay and export interval', async () => {
  const receiver = await startOtlpReceiver();
  await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: '20',
    OTEL_METRIC_EXPORT_INTERVAL: '20',
  });
  await inSpan('soon', {}, async () => meter().createCounter('soon_total').add(1));
  await vi.waitFor(() => {
    expect(receiver.spansOf('soon')).toHaveLength(1);
    expect(receiver.metrics().has('soon_total')).toBe(true);
  });
});

test('a scrape shows facteur’s metrics and those of Node.js', async () => {
  const { telemetry } = await start({ OTEL_METRICS_EXPORTER: 'prometheus' });
  meter().createCounter('things_total', { description: 'Things.' }).add(1);
  const text = await telemetry.scrape!();
  expect(text).toContain('\nthings_total 1\n');
  expect(text).toContain('service_version="1.2.3"');
  expect(text).toContain('nodejs_eventloop_');
});

test.each(['hang', 'unavailable', 'refuse', 'closed'] as const)(
  'a collector in mode %s costs a log line and does not block the shutdown',
  async (how) => {
    const receiver = await startOtlpReceiver();
    const { telemetry, log } = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_LOGS_EXPORTER: 'none',
      OTEL_BSP_SCHEDULE_DELAY: '10',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=CANARY-token',
    });
    if (how === 'closed') {
      await receiver.close();
    } else {
      receiver.behave(how);
    }
    for (let index = 0; index < 20; index += 1) {
      expect(await inSpan('a', {}, async () => index)).toBe(index);
    }
    await vi.waitFor(() => expect(log).toHaveLength(1));
    expect(log[0]).toContain('telemetry: some data was lost');
    await telemetry.shutdown();
    expect(log.length).toBeLessThanOrEqual(2);
    expect(log.join('')).not.toContain('CANARY');
  },
);

test('shutdown is idempotent', async () => {
  const receiver = await startOtlpReceiver();
  const { telemetry, log } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  await Promise.all([telemetry.shutdown(), telemetry.shutdown()]);
  await telemetry.shutdown();
  expect(log).toEqual([]);
});
