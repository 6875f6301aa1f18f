import type { ModalDefinition, ModalField } from '../../domain/command.ts';
import { form, type Reply } from './reply.ts';

const LABEL = 18;
const TEXT_INPUT = 4;
const STYLES = { short: 1, paragraph: 2 } as const;
const PREFIX = 'facteur:modal:';

/** The form of a command. What comes back when it is sent names the command: at most 46 characters, Discord takes 100. */
export function commandForm(command: string, { title, fields }: ModalDefinition): Reply {
  return form({ custom_id: `${PREFIX}${command}`, title, components: fields.map(labelled) });
}

/** The command whose form was sent, or undefined for a form that is none of ours. */
export function commandOfForm(customId: string): string | undefined {
  return customId.startsWith(PREFIX) && customId.length > PREFIX.length ? customId.slice(PREFIX.length) : undefined;
}

/** Text inputs stand in labels; action rows in forms are deprecated since 2025. */
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
