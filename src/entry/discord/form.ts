import type { ModalDefinition, ModalField } from '../../domain/command.ts';
import { form, type Reply } from './reply.ts';
import { isRecord, listOf } from '../../base/json.ts';
import { MAX_LONG_LENGTH } from '../decode/bounds.ts';
import { checkText } from '../decode/text.ts';

const LABEL = 18;
const TEXT_INPUT = 4;
const STYLES = { short: 1, paragraph: 2 } as const;
const PREFIX = 'facteur:modal:';

/** The form of a command. Its id contains the command's name: at most 46 of the 100 characters that Discord allows. */
export function commandForm(command: string, { title, fields }: ModalDefinition): Reply {
  return form({ custom_id: `${PREFIX}${command}`, title, components: fields.map(labelled) });
}

/** The command whose form was submitted, or undefined for an unknown form. */
export function commandOfForm(customId: string): string | undefined {
  return customId.startsWith(PREFIX) && customId.length > PREFIX.length ? customId.slice(PREFIX.length) : undefined;
}

/** Text inputs are in labels; action rows in forms are deprecated since 2025. */
function labelled({ name, label, style, required, minLength, maxLength, placeholder }: ModalField): object {
  return {
    type: LABEL,
    label,
    component: {
      type: TEXT_INPUT,
      custom_id: name,
      style: STYLES[style],
      required,
      ...(minLength === undefined ? {} : { min_length: minLength }),
      ...(maxLength === undefined ? {} : { max_length: maxLength }),
      ...(placeholder === undefined ? {} : { placeholder }),
    },
  };
}

/**
 * The values of a form, by field: text inputs are in labels (`component`) or, as before 2025, in action rows (`components`).
 *
 * @throws Refusal `invalid_payload` for text that cannot be stored
 */
export function formFields(components: unknown): Readonly<Record<string, string>> {
  const fields = Object.create(null) as Record<string, string>;
  const parts = listOf(components).filter(isRecord);
  for (const input of parts.flatMap((part) => [part['component'], ...listOf(part['components'])]).filter(isRecord)) {
    const { custom_id: name, values } = input;
    // A single-choice menu has a list of values.
    const value = input['value'] ?? listOf(values)[0];
    if (typeof name === 'string' && typeof value === 'string') {
      checkText(name, 'components');
      checkText(value, name, MAX_LONG_LENGTH);
      fields[name] = value;
    }
  }
  return fields;
}
