import {
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf';
import { isFieldError } from '@bufbuild/protobuf/reflect';
import { isRecord } from '../../base/json.ts';
import { Refusal, refusalOfField } from '../../domain/refusal.ts';
import type { Payload } from './payload.ts';
import { checkTexts } from './text.ts';
import { checkWire } from './wire.ts';

/**
 * Decodes a payload as the expected message. Unknown fields are dropped, so senders may be newer than facteur.
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
    throw new Refusal('invalid_payload', `not a ${schema.name} in protobuf`, { cause: error });
  }
}

function readJson<Schema extends DescMessage>(schema: Schema, value: unknown): MessageShape<Schema> {
  const exact = withWholeNumbers(schema, value);
  try {
    return fromJson(schema, exact as JsonValue, { ignoreUnknownFields: true });
  } catch (error) {
    // Broken text is reported by its path; for other errors the library knows the field. Its own error is dropped,
    // because it quotes the value.
    checkTexts(schema, value);
    const field = error instanceof Error && isFieldError(error.cause) ? error.cause.field().name : '';
    throw field === ''
      ? new Refusal('invalid_payload', `not a ${schema.name} in JSON`)
      : refusalOfField('invalid_payload', field, 'has the wrong type');
  }
}

/**
 * The same message with its 64-bit numbers in the library's format. JSON.parse has already rounded numbers beyond 2^53, which the
 * library would accept, just as it would accept `0x10` or blanks. It does not support `"42.0"` and `"4.2e1"`, which ProtoJSON
 * allows. Checks only the top level: nested messages have no 64-bit numbers.
 */
function withWholeNumbers(schema: DescMessage, value: unknown): unknown {
  if (!isRecord(value)) {
    return value;
  }
  const exact: Record<string, unknown> = Object.assign(Object.create(null) as object, value);
  for (const field of schema.fields.filter((one) => one.fieldKind === 'scalar' && one.scalar === ScalarType.INT64)) {
    for (const name of [field.jsonName, field.name].filter((one) => (exact[one] ?? undefined) !== undefined)) {
      exact[name] = wholeNumber(exact[name], field.name);
    }
  }
  return exact;
}

function wholeNumber(value: unknown, field: string): unknown {
  const whole = typeof value === 'string' ? wholeDigits(value) : value;
  if (whole === undefined || (typeof value !== 'string' && !Number.isSafeInteger(value))) {
    throw refusalOfField('invalid_payload', field, 'must be a whole number, as a string if above 2^53');
  }
  return whole;
}

/** More digits than a 64-bit number has, to allow for some zeros. */
const MAX_DIGITS = 40;

/** The digits of a whole number in decimal or exponent notation: `42.0` and `4.2e1` are `42`. */
function wholeDigits(text: string): string | undefined {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d{1,40})(?:\.(\d{1,40}))?(?:[eE]([-+]?\d{1,3}))?$/.exec(text) ?? [];
  const digits = `${whole}${fraction}`;
  const point = whole.length + Number(exponent);
  if (whole === '' || point > MAX_DIGITS || /[1-9]/.test(digits.slice(Math.max(0, point)))) {
    return undefined;
  }
  return `${sign}${digits.slice(0, Math.max(0, point)).padEnd(point, '0') || '0'}`;
}
