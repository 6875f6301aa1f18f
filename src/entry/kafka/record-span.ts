import { SpanKind } from '@opentelemetry/api';
import { contextOf, inSpan } from '../../base/telemetry.ts';
import type { ConsumedRecord } from '../../clients/kafka/records.ts';
import { incomingOf } from './incoming.ts';

/**
 * Handles a record in a consumer span, which goes on with the trace that its headers name. Attributes are those of
 * https://opentelemetry.io/docs/specs/semconv/messaging/kafka/.
 */
export function inRecordSpan<T>(record: ConsumedRecord, work: () => Promise<T>): Promise<T> {
  const { headers } = incomingOf(record);
  const parent = contextOf({ ...headers, traceparent: headers['traceparent'] ?? headers['ce-traceparent'] });
  const attributes = {
    'messaging.system': 'kafka',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': record.topic,
    'messaging.destination.partition.id': String(record.partition),
    'messaging.kafka.offset': Number(record.offset),
  };
  return inSpan(`process ${record.topic}`, { kind: SpanKind.CONSUMER, parent, attributes }, work);
}
