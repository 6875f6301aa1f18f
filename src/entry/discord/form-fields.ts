import { isRecord } from '../../base/json.ts';
import { checkText } from '../decode/text.ts';

/**
 * What was filled into a form, by field: text inputs stand in labels (`component`) or, as before 2025, in action rows
 * (`components`).
 *
 * @throws Refusal `invalid_payload` for text that cannot be kept
 */
export function formFields(components: unknown): Readonly<Record<string, string>> {
  const fields = Object.create(null) as Record<string, string>;
  const parts = list(components).filter(isRecord);
  for (const input of parts.flatMap((part) => [part['component'], ...list(part['components'])]).filter(isRecord)) {
    const { custom_id: name, value } = input;
    if (typeof name === 'string' && typeof value === 'string') {
      checkText(name, 'components');
      checkText(value, name);
      fields[name] = value;
    }
  }
  return fields;
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
