import { errorMessage, FacteurError } from '../../base/errors.ts';
import { cut } from '../../base/redact.ts';
import type { ConsumedRecord, KafkaHeader, OutgoingRecord } from '../../clients/kafka/records.ts';
import type { NewDeadLetter } from '../../ledger/unprocessed.ts';
import type { Incoming } from '../decode/incoming.ts';
import { withoutToken } from '../decode/without-token.ts';
import { incomingOf, recordId, sourceOf } from './incoming.ts';

/** Why a record is parked. */
export interface Failure {
  readonly error: unknown;
  /** Number of attempts. */
  readonly attempts: number;
  /** The delivery id of the command, or empty if it could not be read. */
  readonly deliveryId: string;
}

/** Headers that describe the failure; they replace those of an earlier failure. */
const OWN_HEADERS = ['facteur-error', 'facteur-attempts', 'facteur-source'] as const;

/** The headers that decoding needs to reach the same result again; any other might be a credential. */
const KEPT_HEADERS = /^(ce-.*|content-type|content-encoding|traceparent)$/;

/** The record for the dead-letter topic: the original key, headers and value, without the interaction token. */
export function deadLetterRecord(topic: string, record: ConsumedRecord, failure: Failure): OutgoingRecord {
  const own = {
    'facteur-error': parkingReason(failure.error),
    'facteur-attempts': String(failure.attempts),
    'facteur-source': sourceOf(record),
  };
  const kept = record.headers.filter(([name]) => !OWN_HEADERS.some((ownName) => ownName === name.toLowerCase()));
  return {
    topic,
    key: record.key,
    value: record.value === null ? null : withoutToken(incomingOf(record)),
    headers: [...kept, ...Object.entries(own).map(([name, text]): KafkaHeader => [name, Buffer.from(text, 'utf8')])],
  };
}

/** The row for the table, as `dead-letters replay` reads it. */
export function deadLetterRow(record: ConsumedRecord, failure: Failure): NewDeadLetter {
  const incoming = incomingOf(record);
  return {
    door: 'kafka',
    deliveryId: failure.deliveryId === '' ? recordId(record) : failure.deliveryId,
    reason: short(parkingReason(failure.error)),
    attempts: failure.attempts,
    headers: { ...keptHeaders(incoming), 'facteur-source': sourceOf(record) },
    body: withoutToken(incoming),
    source: recordId(record),
  };
}

/** A line for people: the error and, if known, what to change. */
export function parkingReason(error: unknown): string {
  const details = error instanceof FacteurError ? error.details : undefined;
  return details === undefined ? errorMessage(error) : `${errorMessage(error)}: ${details}`;
}

function keptHeaders({ headers }: Incoming): Record<string, string> {
  const kept = Object.entries(headers).filter(
    (entry): entry is [string, string] => KEPT_HEADERS.test(entry[0]) && typeof entry[1] === 'string',
  );
  return Object.fromEntries(kept.map(([name, value]) => [short(name), short(value)]));
}

/** More than anybody reads in a header or reason. */
function short(text: string): string {
  return cut(text, 2000);
}
