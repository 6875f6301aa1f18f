import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * Our own decoder of OTLP's protobuf: the data is not checked by the code that wrote it. Messages are returned in the form
 * of OTLP's JSON, as far as the tests need it; fields that are not in the tables are skipped.
 * https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto
 */
export type Message = { readonly [field: string]: unknown };

type Scalar = 'string' | 'hex' | 'bool' | 'int' | 'enum' | 'double' | 'fixed64' | 'sfixed64';
type Kind = Scalar | Schema | readonly [Scalar | Schema];
/** Field number to name and kind; a kind in brackets is repeated. */
interface Schema {
  readonly [number: number]: readonly [name: string, kind: Kind];
}

// The schema is recursive: a value may contain values.
const VALUE: Record<number, readonly [string, Kind]> = {
  1: ['stringValue', 'string'],
  2: ['boolValue', 'bool'],
  3: ['intValue', 'int'],
  4: ['doubleValue', 'double'],
};
const KEY_VALUE: Schema = { 1: ['key', 'string'], 2: ['value', VALUE] };
VALUE[5] = ['arrayValue', { 1: ['values', [VALUE]] }];
VALUE[6] = ['kvlistValue', { 1: ['values', [KEY_VALUE]] }];

const RESOURCE: Schema = { 1: ['attributes', [KEY_VALUE]] };
const SPAN: Schema = {
  1: ['traceId', 'hex'],
  2: ['spanId', 'hex'],
  4: ['parentSpanId', 'hex'],
  5: ['name', 'string'],
  6: ['kind', 'enum'],
  7: ['startTimeUnixNano', 'fixed64'],
  8: ['endTimeUnixNano', 'fixed64'],
  9: ['attributes', [KEY_VALUE]],
  11: ['events', [{ 2: ['name', 'string'], 3: ['attributes', [KEY_VALUE]] }]],
  13: ['links', [{ 1: ['traceId', 'hex'], 2: ['spanId', 'hex'] }]],
  15: ['status', { 2: ['message', 'string'], 3: ['code', 'enum'] }],
};
const NUMBER_POINT: Schema = {
  4: ['asDouble', 'double'],
  6: ['asInt', 'sfixed64'],
  7: ['attributes', [KEY_VALUE]],
};
const HISTOGRAM_POINT: Schema = {
  4: ['count', 'fixed64'],
  5: ['sum', 'double'],
  6: ['bucketCounts', ['fixed64']],
  7: ['explicitBounds', ['double']],
  9: ['attributes', [KEY_VALUE]],
};
const METRIC: Schema = {
  1: ['name', 'string'],
  2: ['description', 'string'],
  3: ['unit', 'string'],
  5: ['gauge', { 1: ['dataPoints', [NUMBER_POINT]] }],
  7: ['sum', { 1: ['dataPoints', [NUMBER_POINT]], 2: ['aggregationTemporality', 'enum'], 3: ['isMonotonic', 'bool'] }],
  9: ['histogram', { 1: ['dataPoints', [HISTOGRAM_POINT]], 2: ['aggregationTemporality', 'enum'] }],
};
const LOG_RECORD: Schema = {
  1: ['timeUnixNano', 'fixed64'],
  2: ['severityNumber', 'enum'],
  3: ['severityText', 'string'],
  5: ['body', VALUE],
  6: ['attributes', [KEY_VALUE]],
  9: ['traceId', 'hex'],
  10: ['spanId', 'hex'],
};

const request = (resources: string, scopes: string, items: string, item: Schema): Schema => ({
  1: [resources, [{ 1: ['resource', RESOURCE], 2: [scopes, [{ 2: [items, [item]] }]] }]],
});

/** The body of a request, by its path. */
export const REQUESTS: Readonly<Record<string, Schema>> = {
  '/v1/traces': request('resourceSpans', 'scopeSpans', 'spans', SPAN),
  '/v1/metrics': request('resourceMetrics', 'scopeMetrics', 'metrics', METRIC),
  '/v1/logs': request('resourceLogs', 'scopeLogs', 'logRecords', LOG_RECORD),
};

export function decodeWire(bytes: Uint8Array, schema: Schema): Message {
  const reader = new BinaryReader(bytes);
  const message: Record<string, unknown> = {};
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = schema[number];
    if (field === undefined) {
      reader.skip(wireType, number);
      continue;
    }
    const [name, kind] = field;
    if (Array.isArray(kind)) {
      const values = (message[name] ??= []) as unknown[];
      values.push(...readRepeated(reader, wireType, kind[0] as Scalar | Schema));
    } else {
      message[name] = readOne(reader, kind as Scalar | Schema);
    }
  }
  return message;
}

function readRepeated(reader: BinaryReader, wireType: WireType, kind: Scalar | Schema): unknown[] {
  if (typeof kind !== 'string' || wireType !== WireType.LengthDelimited) {
    return [readOne(reader, kind)];
  }
  const values: unknown[] = [];
  const end = reader.uint32() + reader.pos;
  while (reader.pos < end) {
    values.push(readOne(reader, kind));
  }
  return values;
}

function readOne(reader: BinaryReader, kind: Scalar | Schema): unknown {
  switch (kind) {
    case 'string':
      return reader.string();
    case 'hex':
      return Buffer.from(reader.bytes()).toString('hex');
    case 'bool':
      return reader.bool();
    case 'int':
      return Number(reader.int64());
    case 'enum':
      return reader.int32();
    case 'double':
      return reader.double();
    case 'fixed64':
      return String(reader.fixed64());
    case 'sfixed64':
      return Number(reader.sfixed64());
    default:
      return decodeWire(reader.bytes(), kind);
  }
}
