import { Refusal } from '../../domain/refusal.ts';
import { headerText, type Incoming } from './incoming.ts';

/** The encoding of a payload. `cloudevent`: a structured-mode CloudEvent, which contains the payload. */
export type PayloadFormat = 'protobuf' | 'json' | 'cloudevent';

const PROTOBUF_TYPES: readonly string[] = ['application/x-protobuf', 'application/protobuf'];
/** Equivalent to no type at all. */
const BYTES = 'application/octet-stream';
const OPENING_BRACE = 0x7b;
const CLOUDEVENT = 'application/cloudevents+json';
const CLOUDEVENT_BATCH = 'application/cloudevents-batch+json';

/**
 * The format according to the headers, or else the body.
 *
 * @throws Refusal `unsupported_media_type` for any other type or charset, and for any content encoding: nothing
 * is ever decompressed here, because a small bomb would fill the memory
 */
export function payloadFormat({ headers, body }: Incoming): PayloadFormat {
  const encoding = headerText(headers, 'content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Refusal('unsupported_media_type', 'Content-Encoding: send the body uncompressed');
  }
  return formatOf(headerText(headers, 'content-type'), body);
}

/**
 * The format of a content type. Without one, bytes are protobuf, as for the Go service, unless they begin with `{`: in
 * protobuf that would open a group, which neither contract has.
 *
 * @throws Refusal `unsupported_media_type`
 */
export function formatOf(contentType: string | undefined, bytes: Uint8Array): PayloadFormat {
  const { name, parameters } = partsOf(contentType ?? BYTES);
  if (name === BYTES) {
    return bytes[0] === OPENING_BRACE ? 'json' : 'protobuf';
  }
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

/** Whether a content type is JSON; its parameters are ignored. */
export function isJsonType(contentType: string): boolean {
  return isJson(partsOf(contentType).name);
}

function partsOf(contentType: string): { readonly name: string; readonly parameters: readonly string[] } {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  return { name: type.trim(), parameters };
}

function isJson(type: string): boolean {
  return type === 'application/json' || (/^application\/[^\s/]+\+json$/.test(type) && type !== CLOUDEVENT_BATCH);
}

function isUtf8OrNoCharset(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=');
  return name.trim() !== 'charset' || ['utf-8', 'utf8', 'us-ascii'].includes(value.trim().replaceAll('"', ''));
}
