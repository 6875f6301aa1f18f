import { Refusal } from '../../domain/refusal.ts';
import { headerText, type IncomingHeaders } from './incoming.ts';

/** How a payload is written. `cloudevent`: a structured-mode CloudEvent, which has the payload inside. */
export type PayloadFormat = 'protobuf' | 'json' | 'cloudevent';

const PROTOBUF_TYPES: readonly string[] = [
  'application/x-protobuf',
  'application/protobuf',
  'application/octet-stream',
];
const CLOUDEVENT = 'application/cloudevents+json';
const CLOUDEVENT_BATCH = 'application/cloudevents-batch+json';

/**
 * The format that the headers announce. No content type means protobuf, as for the Go service.
 *
 * @throws Refusal `unsupported_media_type` for any other type or charset, and for any encoding of the content: nothing
 *   is ever decompressed here, because a small bomb would fill the memory
 */
export function payloadFormat(headers: IncomingHeaders): PayloadFormat {
  const encoding = headerText(headers, 'content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Refusal('unsupported_media_type', 'Content-Encoding: send the body uncompressed');
  }
  return formatOf(headerText(headers, 'content-type'));
}

/**
 * The format of one content type.
 *
 * @throws Refusal `unsupported_media_type`
 */
export function formatOf(contentType: string | undefined): PayloadFormat {
  if (contentType === undefined) {
    return 'protobuf';
  }
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  const name = type.trim();
  if (PROTOBUF_TYPES.includes(name)) {
    return 'protobuf';
  }
  if (!isJson(name)) {
    throw new Refusal('unsupported_media_type', 'Content-Type: send application/x-protobuf or application/json');
  }
  if (!parameters.every(isUtf8OrNoCharset)) {
    throw new Refusal('unsupported_media_type', 'Content-Type: JSON must be UTF-8');
  }
  return name === CLOUDEVENT ? 'cloudevent' : 'json';
}

function isJson(type: string): boolean {
  return type === 'application/json' || (/^application\/[^\s/]+\+json$/.test(type) && type !== CLOUDEVENT_BATCH);
}

function isUtf8OrNoCharset(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=');
  return name.trim() !== 'charset' || ['utf-8', 'utf8', 'us-ascii'].includes(value.trim().replaceAll('"', ''));
}
