import * as z from 'zod';

type Schema = z.core.$ZodType;

/** The spellings that Go's `strconv.ParseBool` takes, since the Go service took them. */
const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** A number of YAML's core schema. */
const NUMBER = /^(?:[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?|0x[\dA-Fa-f]+|0o[0-7]+)$/;

/**
 * Converts a text to the type of the schema: a boolean, a number, or itself. Text that cannot be converted stays
 * text, so the schema refuses it.
 */
export function convert(schema: Schema, text: string): string | number | boolean {
  const trimmed = text.trim();
  if (schema instanceof z.ZodBoolean && (TRUE.has(trimmed) || FALSE.has(trimmed))) {
    return TRUE.has(trimmed);
  }
  if (schema instanceof z.ZodNumber && NUMBER.test(trimmed)) {
    return Number(trimmed);
  }
  return text;
}

/** The items of comma-separated text. Text of only commas is one blank item, so the schema refuses it. */
export function splitList(text: string): readonly string[] {
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  return items.length === 0 ? [''] : items;
}

/** The name for values of this schema in messages. */
export function wordFor(schema: Schema): string {
  if (schema instanceof z.ZodObject) {
    return 'a map of keys';
  }
  if (schema instanceof z.ZodRecord) {
    return 'a map';
  }
  if (schema instanceof z.ZodArray) {
    return 'a list';
  }
  if (schema instanceof z.ZodBoolean) {
    return 'true or false';
  }
  return schema instanceof z.ZodNumber ? 'a number' : 'text';
}
