import { isUtf8 } from 'node:buffer';
import type { ConsumedRecord } from '../../clients/kafka/records.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { Incoming } from '../decode/incoming.ts';

/** The prefix of CloudEvent attributes in Kafka's headers, which the decoder knows as `ce-`. */
const CLOUDEVENT_PREFIX = /^ce_/;

/** A record in the decoder's form. If a header occurs twice, the last one counts. */
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
 * The same, for decoding. CloudEvent attributes must be text: other bytes would all become the same replacement character, and
 * different ids would be equal.
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

/** The position of a record, for people and for the `facteur-source` header: `topic/partition/offset`. */
export function sourceOf({ topic, partition, offset }: ConsumedRecord): string {
  return `${topic}/${partition}/${offset}`;
}

/**
 * The identity of a record without one: the same whenever it is read and, because of its timestamp, different from that of a
 * record at this offset after the topic was recreated.
 */
export function recordId(record: ConsumedRecord): string {
  return `kafka:${sourceOf(record)}@${record.timestampMs}`;
}
