import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { onTestFinished } from 'vitest';
import type { Json } from './cluster.ts';
import { decodeWire, REQUESTS } from './otlp-wire.ts';

type Attributes = Record<string, Json>;

export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the root span of a trace. */
  readonly parentSpanId: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly attributes: Attributes;
  /** 2 is an error. */
  readonly status: number;
  readonly statusMessage: string;
  /** Ids of the linked spans. */
  readonly links: readonly string[];
  readonly resource: Attributes;
}

export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly type: 'sum' | 'gauge' | 'histogram';
  /** The value of a sum or gauge; the number of measurements of a histogram. */
  readonly points: readonly { readonly attributes: Attributes; readonly value: number }[];
  readonly resource: Attributes;
}

export interface ReceivedLog {
  readonly body: Json;
  readonly severity: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Attributes;
  readonly resource: Attributes;
}

/** A real OTLP receiver on 127.0.0.1. */
export interface OtlpReceiver {
  readonly url: string;
  /** How it handles requests; `ok` at first. `hang` accepts them and never answers. */
  behave(how: 'ok' | 'hang' | 'unavailable' | 'refuse'): void;
  /** Requests so far, in order. */
  readonly requests: readonly ReceivedRequest[];
  /** Every span so far. */
  spans(): ReceivedSpan[];
  /** The spans of this name. */
  spansOf(name: string): ReceivedSpan[];
  /** The latest report of each metric, by name. */
  metrics(): Map<string, ReceivedMetric>;
  logs(): ReceivedLog[];
  close(): Promise<void>;
}

export interface ReceivedRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** The decoded body, in the form of OTLP's JSON. */
  readonly body: Json;
  /** The raw body. */
  readonly bytes: Buffer;
}

/** Starts one on a free port; it is closed when the test ends. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const requests: ReceivedRequest[] = [];
  let behaviour: Parameters<OtlpReceiver['behave']>[0] = 'ok';
  const server = createServer((request, response) => {
    void receive(request).then((received) => {
      requests.push(received);
      if (behaviour !== 'hang') {
        answer(response, behaviour);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  onTestFinished(close);
  const spans = () => items(requests, ['resourceSpans', 'scopeSpans', 'spans'], toSpan);
  return {
    url: `http://127.0.0.1:${port}`,
    behave: (how) => void (behaviour = how),
    requests,
    spans,
    spansOf: (name) => spans().filter((span) => span.name === name),
    metrics: () =>
      new Map(
        items(requests, ['resourceMetrics', 'scopeMetrics', 'metrics'], toMetric).map((metric) => [
          metric.name,
          metric,
        ]),
      ),
    logs: () => items(requests, ['resourceLogs', 'scopeLogs', 'logRecords'], toLog),
    close,
  };
}

async function receive(request: IncomingMessage): Promise<ReceivedRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
  }
  const sent = Buffer.concat(chunks);
  const bytes = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
  const path = request.url ?? '';
  return { path, headers: request.headers, body: decode(path, request.headers['content-type'], bytes), bytes };
}

function decode(path: string, type: string | undefined, bytes: Buffer): Json {
  if (type === 'application/json') {
    return JSON.parse(bytes.toString('utf8'));
  }
  const schema = REQUESTS[path];
  return schema === undefined ? {} : decodeWire(bytes, schema);
}

const STATUS = { ok: 200, unavailable: 503, refuse: 400 } as const;

function answer(response: ServerResponse, behaviour: keyof typeof STATUS): void {
  response.writeHead(STATUS[behaviour], { 'content-type': 'application/x-protobuf' }).end();
}

function items<T>(
  requests: readonly ReceivedRequest[],
  [resources, scopes, list]: readonly [string, string, string],
  read: (item: Json, resource: Attributes) => T,
): T[] {
  return requests.flatMap(({ body }) =>
    (body[resources] ?? []).flatMap((entry: Json) =>
      entry[scopes].flatMap((scope: Json) =>
        (scope[list] ?? []).map((item: Json) => read(item, attributesOf(entry.resource.attributes))),
      ),
    ),
  );
}

function toSpan(span: Json, resource: Attributes): ReceivedSpan {
  return {
    name: span.name,
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: span.parentSpanId ?? '',
    kind: span.kind,
    attributes: attributesOf(span.attributes),
    status: span.status?.code ?? 0,
    statusMessage: span.status?.message ?? '',
    links: (span.links ?? []).map((link: Json) => link.spanId),
    resource,
  };
}

function toMetric(metric: Json, resource: Attributes): ReceivedMetric {
  const type = (['sum', 'gauge', 'histogram'] as const).find((each) => metric[each] !== undefined)!;
  return {
    name: metric.name,
    unit: metric.unit ?? '',
    type,
    points: (metric[type].dataPoints ?? []).map((point: Json) => ({
      attributes: attributesOf(point.attributes),
      value: Number(point.count ?? point.asInt ?? point.asDouble ?? 0),
    })),
    resource,
  };
}

function toLog(record: Json, resource: Attributes): ReceivedLog {
  return {
    body: valueOf(record.body),
    severity: record.severityText ?? '',
    traceId: record.traceId ?? '',
    spanId: record.spanId ?? '',
    attributes: attributesOf(record.attributes),
    resource,
  };
}

function attributesOf(list: Json): Attributes {
  return Object.fromEntries((list ?? []).map(({ key, value }: Json) => [key, valueOf(value)]));
}

/** The value of an AnyValue. Its only field is the kind of the value. */
function valueOf(value: Json): Json {
  const [kind = '', content] = Object.entries<Json>(value ?? {})[0] ?? [];
  switch (kind) {
    case 'arrayValue':
      return (content.values ?? []).map(valueOf);
    case 'kvlistValue':
      return attributesOf(content.values);
    case 'intValue':
      return Number(content);
    default:
      return content;
  }
}
