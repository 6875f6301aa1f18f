import type { Door } from '../../domain/command.ts';
import { headerText, type IncomingHeaders } from './incoming.ts';
import { trimmed } from '../../base/trimmed.ts';
import { MAX_KEY_LENGTH } from './bounds.ts';
import { checkText } from './text.ts';

/**
 * `source|id`: in CloudEvents only both together are unique; if either is missing, the result is empty. No two pairs have the
 * same identity: a source that contains a `|` is percent-encoded after a leading `|`, with which no other identity begins.
 */
export function eventId(source = '', id = ''): string {
  if (source === '' || id === '') {
    return '';
  }
  const encoded = source.replaceAll(/[%|]/g, (sign) => (sign === '|' ? '%7C' : '%25'));
  return source.includes('|') ? `|${encoded}|${id}` : `${source}|${id}`;
}

/**
 * The identity of a CloudEvent in binary mode, equal to its identity in structured mode: HTTP headers contain attributes
 * percent-encoded, Kafka headers contain them unchanged.
 */
export function eventIdOf(headers: IncomingHeaders, door: Door): string {
  const decode = door === 'http' ? decodeHeader : (value: string): string => value;
  const [source, id] = ['ce-source', 'ce-id'].map((name) => {
    const value = headerText(headers, name);
    return value === undefined ? undefined : decode(value);
  });
  return eventId(source, id);
}

/**
 * Decodes an attribute from an HTTP header according to CloudEvents' HTTP binding, 3.1.3.2: unquoted and decoded once. Invalid
 * encoding means that the sender does not encode, so the text stays unchanged.
 */
function decodeHeader(value: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value)?.[1];
  const text = quoted === undefined ? value : quoted.replaceAll(/\\(.)/g, '$1');
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * The identity of a delivery: the payload's own without surrounding white space, or else the CloudEvent's; empty if neither has
 * one.
 *
 * @throws Refusal `invalid_payload`
 */
export function deliveryIdOf(own: string, fromEvent: string): string {
  const id = trimmed(own) || fromEvent;
  checkText(id, 'delivery id', MAX_KEY_LENGTH);
  return id;
}
