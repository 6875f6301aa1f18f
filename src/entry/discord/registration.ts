import { present } from '../../config/dictionary.ts';
import type { CommandDefinition, OptionDefinition, OptionType } from '../../domain/command.ts';
import { subcommandOf } from '../../domain/subcommand.ts';

/** A command as facteur wants it registered: https://discord.com/developers/docs/interactions/application-commands */
export interface Registration {
  readonly name: string;
  readonly type: typeof CHAT_INPUT;
  readonly description: string;
  readonly options: readonly RegisteredOption[];
}

/** An option, subcommand or group; what is not there has Discord's default. */
export interface RegisteredOption {
  readonly type: number;
  readonly name: string;
  readonly description: string;
  readonly required?: true;
  readonly choices?: readonly { readonly name: string; readonly value: string | number }[];
  readonly min_value?: number;
  readonly max_value?: number;
  readonly min_length?: number;
  readonly max_length?: number;
  readonly autocomplete?: true;
  readonly options?: readonly RegisteredOption[];
}

/** A command that is typed after a slash. */
export const CHAT_INPUT = 1;
const SUBCOMMAND = 1;
const GROUP = 2;
const TYPES: Readonly<Record<OptionType, number>> = { string: 3, integer: 4, boolean: 5, number: 10 };

/** Every command of the configuration, those out of the box included, in its order. */
export function registrations(commands: Readonly<Record<string, CommandDefinition>>): readonly Registration[] {
  return Object.entries(commands).map(([name, definition]) => registrationOf(name, definition));
}

function registrationOf(name: string, { description, options }: CommandDefinition): Registration {
  return { name, type: CHAT_INPUT, description, options: nested(options, description) };
}

/**
 * Options with dotted names become subcommands and groups. Discord wants those described, and the configuration describes
 * only what is in them: so they bear the command's own description.
 */
function nested(definitions: readonly OptionDefinition[], description: string): readonly RegisteredOption[] {
  const tree = new Map<string, OptionDefinition[]>();
  for (const definition of definitions) {
    const subcommand = subcommandOf(definition.name);
    tree.set(subcommand, [...(tree.get(subcommand) ?? []), definition]);
  }
  const top = new Map<string, RegisteredOption>();
  const plain = (tree.get('') ?? []).map(plainOption);
  for (const [path, own] of tree) {
    const [first = '', second] = path.split('.');
    const options = own.map(plainOption);
    if (second !== undefined) {
      const group = top.get(first)?.options ?? [];
      const subcommand = { type: SUBCOMMAND, name: second, description, options };
      top.set(first, { type: GROUP, name: first, description, options: [...group, subcommand] });
    } else if (path !== '') {
      top.set(first, { type: SUBCOMMAND, name: first, description, options });
    }
  }
  return [...plain, ...top.values()];
}

function plainOption(option: OptionDefinition): RegisteredOption {
  const { name, description, type } = option;
  return {
    type: TYPES[type],
    name: name.slice(name.lastIndexOf('.') + 1),
    description,
    ...present({
      required: option.required ? true : undefined,
      choices: choicesOf(option),
      min_value: option.min,
      max_value: option.max,
      min_length: option.minLength,
      max_length: option.maxLength,
      autocomplete: (option.autocomplete ?? []).length > 0 ? true : undefined,
    } as const),
  };
}

/** Discord wants the choices of a number as numbers. */
function choicesOf({ type, choices = [] }: OptionDefinition): RegisteredOption['choices'] | undefined {
  const isNumber = type === 'integer' || type === 'number';
  const values = choices.map(({ name, value }) => ({ name, value: isNumber ? Number(value) : value }));
  return values.length === 0 ? undefined : values;
}
