import { present } from '../../config/dictionary.ts';
import { MAX_CHOICES, type CommandDefinition, type OptionDefinition, type OptionType } from '../../domain/command.ts';
import { shorten } from '../../domain/command-text.ts';
import { subcommandOf } from '../../domain/subcommand.ts';

/** A command to register with Discord: https://discord.com/developers/docs/interactions/application-commands */
export interface Registration {
  readonly name: string;
  readonly type: typeof CHAT_INPUT;
  readonly description: string;
  readonly options: readonly RegisteredOption[];
}

/** An option, subcommand or group; missing fields have Discord's default. */
interface RegisteredOption {
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

/** The type of slash commands. */
export const CHAT_INPUT = 1;
const MAX_DESCRIPTION = 100;
const SUBCOMMAND = 1;
const GROUP = 2;
const TYPES: Readonly<Record<OptionType, number>> = { string: 3, integer: 4, boolean: 5, number: 10 };

/**
 * The commands of one scope, in order: commands limited to servers appear only in these.
 *
 * @param guildId a server; undefined for all servers
 * @param takesOthers whether to include commands without such a limit
 */
export function registrationsIn(
  commands: Readonly<Record<string, CommandDefinition>>,
  guildId: string | undefined,
  takesOthers = true,
): readonly Registration[] {
  const fits = Object.entries(commands).filter(([, { guilds }]) =>
    guilds === undefined ? takesOthers : guildId !== undefined && guilds.includes(guildId),
  );
  return registrations(Object.fromEntries(fits));
}

/** All commands, in order. */
export function registrations(commands: Readonly<Record<string, CommandDefinition>>): readonly Registration[] {
  const byTop = Map.groupBy(Object.entries(commands), ([name]) => wordsOf(name)[0]);
  return Array.from(byTop, ([top, entries]) => {
    const own = entries.find(([name]) => name === top);
    return own === undefined ? parentOf(top, entries) : { name: top, type: CHAT_INPUT, ...contentsOf(own[1]) };
  });
}

/** A form asks for the values that would otherwise be options. */
function contentsOf({ description, options, modal }: CommandDefinition): Pick<Registration, 'description' | 'options'> {
  return { description, options: modal === undefined ? nested(options, description) : [] };
}

/** Commands with several words are the subcommands of their first word. */
function parentOf(top: string, entries: readonly (readonly [string, CommandDefinition])[]): Registration {
  const bySecond = Map.groupBy(entries, ([name]) => wordsOf(name)[1]);
  const options = Array.from(bySecond, ([second, below]) => {
    const [, definition] = below.find(([name]) => name === `${top} ${second}`) ?? [];
    const subcommands = below.map(([name, one]) => ({ type: SUBCOMMAND, name: wordsOf(name)[2], ...contentsOf(one) }));
    return definition === undefined
      ? { type: GROUP, name: second, description: listing(subcommands), options: subcommands }
      : { type: SUBCOMMAND, name: second, ...contentsOf(definition) };
  });
  return { name: top, type: CHAT_INPUT, description: listing(options), options };
}

function wordsOf(name: string): readonly [string, string, string] {
  const [first = '', second = '', third = ''] = name.split(' ');
  return [first, second, third];
}

/** The description that Discord requires for a group. */
function listing(options: readonly { readonly name: string }[]): string {
  return shorten(`One of ${options.map(({ name }) => name).join(', ')}`, MAX_DESCRIPTION);
}

/**
 * Options with dotted names become subcommands and groups. Discord requires descriptions for these, and the
 * configuration describes only their options, so they get the command's own description.
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
      autocomplete: suggestsValues(option) ? true : undefined,
    } as const),
  };
}

/** If there are more values than Discord lists, they are offered by autocomplete. */
function suggestsValues({ autocomplete = [], choices = [] }: OptionDefinition): boolean {
  return autocomplete.length > 0 || choices.length > MAX_CHOICES;
}

/** Discord requires the choices of a number as numbers. */
function choicesOf({ type, choices = [] }: OptionDefinition): RegisteredOption['choices'] | undefined {
  if (choices.length > MAX_CHOICES) {
    return undefined;
  }
  const isNumber = type === 'integer' || type === 'number';
  const values = choices.map(({ name, value }) => ({ name, value: isNumber ? Number(value) : value }));
  return values.length === 0 ? undefined : values;
}
