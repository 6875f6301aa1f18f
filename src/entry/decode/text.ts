import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { refusalOfField } from '../../domain/refusal.ts';
import { MAX_LONG_LENGTH, MAX_SHORT_LENGTH, maxLengthOf } from './bounds.ts';

/**
 * Refuses text that is too long for its field, or that contains what Postgres, Kubernetes or a URL cannot: NUL, and unpaired
 * surrogates (only possible in JSON). Checks every text of the message type, including map keys, and reports the first bad one by
 * its dotted path. Takes a message, or untyped JSON that will become one.
 *
 * @throws Refusal `invalid_payload`; `too_large` if a workflow sets the bound
 */
export function checkTexts(description: DescMessage, value: unknown, path = ''): void {
  if (typeof value !== 'object' || value === null) {
    return;
  }
  const fields = value as Readonly<Record<string, unknown>>;
  for (const field of description.fields) {
    checkField(field, fields[field.localName] ?? fields[field.name], `${path}${field.name}`);
  }
}

/**
 * Refuses a text that cannot be stored unchanged.
 *
 * @param maxLength in UTF-16 units
 * @throws Refusal `invalid_payload`; `too_large` if a workflow sets the bound
 */
export function checkText(value: unknown, path: string, maxLength = MAX_SHORT_LENGTH): void {
  if (typeof value !== 'string') {
    return;
  }
  if (value.length > maxLength) {
    const kind = maxLength < MAX_LONG_LENGTH ? 'invalid_payload' : 'too_large';
    throw refusalOfField(kind, path, `must have at most ${maxLength} characters`);
  }
  if (value.includes('\0')) {
    throw refusalOfField('invalid_payload', path, 'must not contain NUL');
  }
  if (!value.isWellFormed()) {
    throw refusalOfField('invalid_payload', path, 'must be well-formed Unicode');
  }
}

function checkField(field: DescField, value: unknown, path: string): void {
  switch (field.fieldKind) {
    case 'scalar':
    case 'message':
      checkItem(field, value, path);
      break;
    case 'list':
      if (Array.isArray(value)) {
        value.forEach((item, index) => checkItem(field, item, `${path}.${index}`));
      }
      break;
    case 'map':
      for (const [key, item] of Object.entries(typeof value === 'object' ? (value ?? {}) : {})) {
        checkText(key, `${path} (a key)`);
        checkItem(field, item, `${path}.${key}`);
      }
      break;
    case 'enum':
      break;
  }
}

function checkItem(field: DescField, item: unknown, path: string): void {
  if (field.message === undefined) {
    checkText(item, path, maxLengthOf(field));
  } else {
    checkTexts(field.message, item, `${path}.`);
  }
}
