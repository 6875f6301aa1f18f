import { isUtf8 } from 'node:buffer';
import { validTraceparent } from '../../base/traceparent.ts';
import { Refusal } from '../../domain/refusal.ts';
import type { Door } from '../../domain/command.ts';
import { eventId, eventIdOf } from './event-id.ts';
import { hasTooManyValues, MAX_VALUES } from './count-values.ts';
import { headerText, type Incoming } from './incoming.ts';
import { formatOf, payloadFormat } from './media-type.ts';

/** A message in its wire format: protobuf bytes, or parsed JSON. */
export type Payload =
  | { readonly format: 'protobuf'; readonly bytes: Uint8Array }
  | { readonly format: 'json'; readonly value: unknown };

/** A payload with the data of its envelope. */
interface Envelope {
  readonly payload: Payload;
  /** The identity of its CloudEvent, by `eventId`; empty if it is not one. */
  readonly eventId: string;
  /** W3C `traceparent`, or empty. */
  readonly traceparent: string;
}

/**
 * Opens the envelope: plain HTTP or Kafka, a CloudEvent in binary mode (attributes in headers) or in structured mode
 * (attributes and data in one JSON object).
 *
 * @throws Refusal `unsupported_media_type`, `empty_payload` or `invalid_payload`
 */
export function openEnvelope(incoming: Incoming, door: Door): Envelope {
  const { headers, body } = incoming;
  const format = payloadFormat(incoming);
  if (body.length === 0) {
    throw new Refusal('empty_payload');
  }
  if (format === 'cloudevent') {
    return openCloudEvent(incoming);
  }
  return {
    payload: format === 'json' ? { format, value: parseJson(body) } : { format, bytes: body },
    eventId: eventIdOf(headers, door),
    traceparent: traceparentOf(incoming, headerText(headers, 'ce-traceparent')),
  };
}

/**
 * Parses JSON bytes. The refusal omits the parser's error, because it quotes the text.
 *
 * @throws Refusal `invalid_payload`
 */
export function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) {
    throw new Refusal('invalid_payload', 'JSON must be UTF-8');
  }
  if (hasTooManyValues(body)) {
    throw new Refusal('invalid_payload', `JSON must have at most ${MAX_VALUES} values`);
  }
  try {
    return JSON.parse(body.toString('utf8').replace(/^\uFEFF/, ''));
  } catch {
    throw new Refusal('invalid_payload', 'invalid JSON');
  }
}

function openCloudEvent(incoming: Incoming): Envelope {
  const event = parseJson(incoming.body);
  if (!isObject(event)) {
    throw new Refusal('invalid_payload', 'a CloudEvent must be a JSON object');
  }
  return {
    payload: cloudEventData(event),
    eventId: eventId(text(event, 'source'), text(event, 'id')),
    traceparent: traceparentOf(incoming, text(event, 'traceparent')),
  };
}

const NO_BYTES = Buffer.alloc(0);

function cloudEventData(event: Readonly<Record<string, unknown>>): Payload {
  const contentType = text(event, 'datacontenttype');
  const base64 = text(event, 'data_base64');
  if (base64 === undefined) {
    if (event['data'] === undefined || event['data'] === null) {
      throw new Refusal('empty_payload');
    }
    // The CloudEvents rule: `data` without a declared type is JSON.
    if (contentType !== undefined && formatOf(contentType, NO_BYTES) !== 'json') {
      throw new Refusal('invalid_payload', 'data: protobuf must be in data_base64');
    }
    return { format: 'json', value: event['data'] };
  }
  const bytes = Buffer.from(base64, 'base64');
  // Node's decoder skips invalid characters.
  if (bytes.toString('base64') !== base64) {
    throw new Refusal('invalid_payload', 'data_base64: invalid base64');
  }
  return formatOf(contentType, bytes) === 'protobuf'
    ? { format: 'protobuf', bytes }
    : { format: 'json', value: parseJson(bytes) };
}

function traceparentOf({ headers }: Incoming, ofEvent: string | undefined): string {
  return validTraceparent(headerText(headers, 'traceparent')) || validTraceparent(ofEvent);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(event: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = event[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
