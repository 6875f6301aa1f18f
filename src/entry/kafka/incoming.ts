import { isUtf8 } from 'node:buffer';
import type { ConsumedRecord } from '../../clients/kafka/records.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { Incoming } from '../decode/incoming.ts';

/** How CloudEvent attributes begin in Kafka's headers, and how the decoder knows them. */
const CLOUDEVENT_PREFIX = /^ce_/;

/**
 * A record as the decoder takes it. Of a header that comes twice the last one counts.
 */
export function incomingOf(record: ConsumedRecord): Incoming {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of record.headers) {
    headers[headerName(name)] = value?.toString('utf8') ?? '';
  }
  return { headers, body: record.value ?? Buffer.alloc(0) };
}

function headerName(name: string): string {
  return name.toLowerCase().replace(CLOUDEVENT_PREFIX, 'ce-');
}

/**
 * The same, for decoding. CloudEvent attributes must be text: bytes that are not become the same replacement, and with
 * them ids that differ.
 *
 * @throws KafkaError `kafka.unreadable`, Refusal `invalid_payload`
 */
export function readableOf(record: ConsumedRecord): Incoming {
  if (record.unreadable !== undefined) {
    throw record.unreadable;
  }
  for (const [name, value] of record.headers) {
    if (headerName(name).startsWith('ce-') && value !== null && !isUtf8(value)) {
      throw new Refusal('invalid_payload', `header ${headerName(name)}: must be UTF-8`);
    }
  }
  return incomingOf(record);
}

/** Where a record is, for people and for the `facteur-source` header: `topic/partition/offset`. */
export function sourceOf({ topic, partition, offset }: ConsumedRecord): string {
  return `${topic}/${partition}/${offset}`;
}

/**
 * The identity of a record without one: the same whenever it is read and, because of its timestamp, different from a
 * record at this offset after the topic was recreated.
 */
export function recordId(record: ConsumedRecord): string {
  return `kafka:${sourceOf(record)}@${record.timestampMs}`;
}
