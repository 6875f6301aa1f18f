import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { Refusal } from '../../domain/refusal.ts';

/**
 * Refuses text that Postgres, Kubernetes or a URL cannot hold: NUL, and halves of surrogate pairs (which only JSON can
 * bring in). Looks at every text that the description knows, keys of maps too, and names the first bad one by its dotted
 * path. Takes a message, or JSON that should become one, in which anything may stand anywhere.
 *
 * @throws Refusal `invalid_payload`
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
 * Refuses one text that cannot be kept as it is.
 *
 * @throws Refusal `invalid_payload`
 */
export function checkText(value: unknown, path: string): void {
  if (typeof value !== 'string') {
    return;
  }
  if (value.includes('\0')) {
    throw new Refusal('invalid_payload', `${path}: must not contain NUL`);
  }
  if (!value.isWellFormed()) {
    throw new Refusal('invalid_payload', `${path}: must be well-formed Unicode`);
  }
}

function checkField(field: DescField, value: unknown, path: string): void {
  switch (field.fieldKind) {
    case 'scalar':
    case 'message':
      checkItem(field.message, value, path);
      break;
    case 'list':
      if (Array.isArray(value)) {
        value.forEach((item, index) => checkItem(field.message, item, `${path}.${index}`));
      }
      break;
    case 'map':
      for (const [key, item] of Object.entries(typeof value === 'object' ? (value ?? {}) : {})) {
        checkText(key, `${path} (a key)`);
        checkItem(field.message, item, `${path}.${key}`);
      }
      break;
    case 'enum':
      break;
  }
}

function checkItem(description: DescMessage | undefined, item: unknown, path: string): void {
  if (description === undefined) {
    checkText(item, path);
  } else {
    checkTexts(description, item, `${path}.`);
  }
}
