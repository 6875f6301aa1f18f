import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from '../cluster/objects.ts';

/** A form in facteur's answer. */
interface Form {
  readonly customId: string;
  readonly title: string;
  readonly fields: Readonly<Record<string, string | readonly string[]>>;
}

const MODAL = 9;
const STRING_SELECT = 3;

/**
 * Fills in the form in an answer: with the typed value for a field's label or name, else with its suggestion. Text without a name
 * goes to the last field, such as a reason. Undefined if the answer is no form.
 */
export function filledForm(answer: JsonObject, typed: Readonly<Record<string, string>>): Form | undefined {
  const data = isRecord(answer['data']) ? answer['data'] : {};
  if (answer['type'] !== MODAL) {
    return undefined;
  }
  const labels = listOf(data['components']);
  const fields = labels.map((label, index) => {
    const input = isRecord(label['component']) ? label['component'] : {};
    const names = [String(label['label']).toLowerCase(), String(input['custom_id'])];
    const named = Object.entries(typed).find(([name]) => names.includes(name.toLowerCase()))?.[1];
    const bare = index === labels.length - 1 ? typed[''] : undefined;
    const value = named ?? bare ?? suggestion(input);
    return [String(input['custom_id']), input['type'] === STRING_SELECT ? [value] : value] as const;
  });
  return { customId: String(data['custom_id']), title: String(data['title']), fields: Object.fromEntries(fields) };
}

function suggestion(input: JsonObject): string {
  const choices = listOf(input['options']);
  const chosen = choices.find((choice) => choice['default'] === true) ?? choices[0];
  if (chosen !== undefined) {
    return String(chosen['value']);
  }
  const preset = input['value'];
  const length = typeof input['min_length'] === 'number' ? input['min_length'] : 0;
  const needed = input['required'] === false ? '' : 'sandbox'.padEnd(length, 'x');
  return typeof preset === 'string' ? preset : needed;
}

function listOf(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? (value as unknown[]).filter(isRecord) : [];
}
