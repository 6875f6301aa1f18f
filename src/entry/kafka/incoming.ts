import type { ConsumedRecord } from '../../clients/kafka/records.ts';
import type { Incoming } from '../decode/incoming.ts';

const OPENING_BRACE = 0x7b;

/** How CloudEvent attributes begin in Kafka's headers, and how the decoder knows them. */
const CLOUDEVENT_PREFIX = /^ce_/;

/**
 * A record as the decoder takes it. Where no content type says otherwise, a value that begins with `{` is JSON: in
 * protobuf that byte would open a group, which neither contract has. Of a header that comes twice the last one counts.
 */
export function incomingOf(record: ConsumedRecord): Incoming {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  const body = record.value ?? Buffer.alloc(0);
  for (const [name, value] of record.headers) {
    headers[name.toLowerCase().replace(CLOUDEVENT_PREFIX, 'ce-')] = value.toString('utf8');
  }
  if ((headers['content-type'] ?? '').trim() === '' && body[0] === OPENING_BRACE) {
    headers['content-type'] = 'application/json';
  }
  return { headers, body };
}

/** Where a record is, for people and for the `facteur-source` header: `topic/partition/offset`. */
export function sourceOf({ topic, partition, offset }: ConsumedRecord): string {
  return `${topic}/${partition}/${offset}`;
}

/**
 * The identity of a record that brings none: the same whenever it is read, and, by its time, another one for the record
 * that has this place after the topic was deleted and made anew.
 */
export function recordId(record: ConsumedRecord): string {
  return `kafka:${sourceOf(record)}@${record.timestampMs}`;
}
