import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf';
import { isFieldError } from '@bufbuild/protobuf/reflect';
import { Refusal } from '../../domain/refusal.ts';
import type { Payload } from './payload.ts';
import { checkTexts } from './text.ts';
import { checkWire } from './wire.ts';

/**
 * A payload as the message it should be. Unknown fields are dropped, so that senders may be newer than facteur.
 *
 * @throws Refusal `invalid_payload`, whose details name the field but quote nothing: values may be secret
 */
export function decodeMessage<Schema extends DescMessage>(schema: Schema, payload: Payload): MessageShape<Schema> {
  const message = payload.format === 'protobuf' ? readBinary(schema, payload.bytes) : readJson(schema, payload.value);
  checkTexts(schema, message);
  return message;
}

function readBinary<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  try {
    checkWire(schema, bytes);
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw new Refusal('invalid_payload', `not a ${schema.name} in protobuf`, error);
  }
}

function readJson<Schema extends DescMessage>(schema: Schema, value: unknown): MessageShape<Schema> {
  refuseInexactNumbers(schema, value);
  try {
    return fromJson(schema, value as JsonValue, { ignoreUnknownFields: true });
  } catch (error) {
    // Broken text is told by its path; of anything else the library knows the field. Its error is left out, because it
    // quotes the value.
    checkTexts(schema, value);
    const field = error instanceof Error && isFieldError(error.cause) ? error.cause.field().name : '';
    throw new Refusal('invalid_payload', field === '' ? `not a ${schema.name} in JSON` : `${field}: not of its type`);
  }
}

/**
 * JSON.parse has already rounded a number beyond 2^53, and the library would take it as it is, as it would take `0x10`
 * or blanks for an int64. Looks at the top level only: nested messages hold no 64-bit numbers.
 */
function refuseInexactNumbers(schema: DescMessage, value: unknown): void {
  if (typeof value !== 'object' || value === null) {
    return;
  }
  const given = value as Readonly<Record<string, unknown>>;
  for (const field of schema.fields) {
    if (field.fieldKind === 'scalar' && field.scalar === ScalarType.INT64) {
      const number = given[field.jsonName] ?? given[field.name];
      const exact = typeof number === 'string' ? /^-?\d+$/.test(number) : Number.isSafeInteger(number ?? 0);
      if (!exact) {
        throw new Refusal('invalid_payload', `${field.name}: must be a whole number, beyond 2^53 as a string`);
      }
    }
  }
}
