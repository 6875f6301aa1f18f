import { BinaryReader } from '@bufbuild/protobuf/wire';
import { CommandEventSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';
import type { Incoming } from './incoming.ts';
import { payloadFormat, type PayloadFormat } from './media-type.ts';
import { parseJson } from './payload.ts';

type JsonObject = Record<string, unknown>;

/**
 * The beginning of Discord's interaction tokens (`interaction:` in base64), and its base64 encoding, as in `data_base64`: there
 * are three forms, depending on the token's offset in the bytes. JSON may escape a slash.
 */
const TOKEN_TEXT =
  /(?:aW50ZXJhY3Rpb246|YVc1MFpYSmhZM1JwYjI0N|FXNTBaWEpoWTNScGIyND|hVzUwWlhKaFkzUnBiMjQ2)(?:\\\/|[\w+/=.-])*/g;

/**
 * The bytes of a command event that may be stored: the interaction token is a secret and belongs only in the session
 * store. If the bytes can be decoded, the field is removed and the rest unchanged. Otherwise everything that looks
 * like a token is overwritten.
 */
export function withoutToken(incoming: Incoming): Buffer {
  return maskTokens(removeField(incoming.body, formatOrNone(incoming)) ?? incoming.body);
}

function formatOrNone(incoming: Incoming): PayloadFormat | undefined {
  try {
    return payloadFormat(incoming);
  } catch {
    // The message was refused because its type is unknown; its bytes are still kept.
    return undefined;
  }
}

function removeField(body: Buffer, format: PayloadFormat | undefined): Buffer | undefined {
  try {
    switch (format) {
      case 'protobuf':
        return removeProtobufField(body);
      case 'json':
        return removeJsonField(body, removeToken);
      case 'cloudevent':
        return removeJsonField(body, removeFromEvent);
      case undefined:
        return undefined;
    }
  } catch {
    // The content does not match its type, which is also why it was refused: only masking is possible.
    return undefined;
  }
}

function removeProtobufField(body: Buffer): Buffer {
  const reader = new BinaryReader(body);
  const kept: Buffer[] = [];
  while (reader.pos < body.length) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    reader.skip(wireType, number);
    if (number !== CommandEventSchema.field.token.number) {
      kept.push(body.subarray(start, reader.pos));
    }
  }
  return Buffer.concat(kept);
}

function removeJsonField(body: Buffer, remove: (message: JsonObject) => boolean): Buffer {
  const message = parseJson(body) as JsonObject;
  return remove(message) ? Buffer.from(JSON.stringify(message), 'utf8') : body;
}

function removeToken(message: JsonObject): boolean {
  return Object.hasOwn(message, 'token') && delete message['token'];
}

function removeFromEvent(event: JsonObject): boolean {
  const base64 = event['data_base64'];
  if (typeof base64 === 'string') {
    const contentType = event['datacontenttype'];
    const headers = typeof contentType === 'string' ? { 'content-type': contentType } : {};
    event['data_base64'] = withoutToken({ headers, body: Buffer.from(base64, 'base64') }).toString('base64');
    return true;
  }
  return removeToken(event['data'] as JsonObject);
}

/** Overwrites with the same length, so the framing of protobuf stays valid. */
function maskTokens(body: Buffer): Buffer {
  const text = body.toString('latin1');
  const masked = text.replaceAll(TOKEN_TEXT, (token) => '*'.repeat(token.length));
  return masked === text ? body : Buffer.from(masked, 'latin1');
}
