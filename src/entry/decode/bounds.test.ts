import { type DescField, type DescMessage, fromJson, type JsonValue, ScalarType, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { CommandEventSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';
import { CodexTaskSchema } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { decodeMessage } from './message.ts';
import { maxLengthOf } from './bounds.ts';

/** A text field of a message: its name in an error, its maximum length, and JSON that contains it. */
interface Text {
  readonly path: string;
  readonly limit: number;
  readonly json: (text: string) => JsonValue;
}

/** Every text field of a message, including those in nested messages, in lists, and keys and values of maps. */
function textsOf(schema: DescMessage): Text[] {
  return schema.fields.flatMap((field): Text[] => {
    const { name, jsonName } = field;
    const nested = field.fieldKind === 'message' || field.fieldKind === 'list' ? field.message : undefined;
    const wrap = (value: JsonValue): JsonValue => ({ [jsonName]: field.fieldKind === 'list' ? [value] : value });
    const path = field.fieldKind === 'list' ? `${name}.0` : name;
    if (nested !== undefined) {
      const inside = nested.typeName === 'google.protobuf.Timestamp' ? [] : textsOf(nested);
      return inside.map((text) => ({ ...text, path: `${path}.${text.path}`, json: (value) => wrap(text.json(value)) }));
    }
    if (field.fieldKind === 'map') {
      return [
        { path: `${name} (a key)`, limit: 256, json: (text) => wrap({ [text]: 'value' }) },
        { path: `${name}.key`, limit: maxLengthOf(field), json: (text) => wrap({ key: text }) },
      ];
    }
    return isText(field) ? [{ path, limit: maxLengthOf(field), json: wrap }] : [];
  });
}

function isText(field: DescField): boolean {
  const kind = field.fieldKind === 'list' ? field.listKind : field.fieldKind;
  return kind === 'scalar' && field.scalar === ScalarType.STRING;
}

const SCHEMAS = [CommandEventSchema, CodexTaskSchema] as const;
const CASES = SCHEMAS.flatMap((schema) =>
  textsOf(schema).map((text) => [schema.name, text.path, schema, text] as const),
);

test('covers every text field of both contracts', () => {
  expect(CASES.map(([name, path]) => `${name} ${path}`)).toEqual(
    expect.arrayContaining([
      'CommandEvent user.id',
      'CommandEvent member.roles.0',
      'CommandEvent options.key',
      'CodexTask review_context.review_threads.0.summary',
      'CodexTask iterations.stop_on.0',
    ]),
  );
  expect(CASES).toHaveLength(44);
});

describe.each(CASES)('%s: %s', (_schema, path, schema, { limit, json }) => {
  const read = [
    (value: JsonValue) => decodeMessage(schema, { format: 'json', value }),
    (value: JsonValue) =>
      decodeMessage(schema, { format: 'protobuf', bytes: toBinary(schema, fromJson(schema, value)) }),
  ];

  test('has a maximum length, and the refusal of a longer text names it', () => {
    const details = `${path}: must have at most ${limit} characters`;
    for (const decode of read) {
      decode(json('x'.repeat(limit)));
      expect(() => decode(json('x'.repeat(limit + 1)))).toThrow(
        expect.objectContaining({ code: limit < 10_000 ? 'refusal.invalid_payload' : 'refusal.too_large', details }),
      );
    }
  });
});
