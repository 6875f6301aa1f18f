import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from '../cluster/objects.ts';
import type { CommandOption } from '../discord/interaction-payload.ts';

/** A registered command, or a part of one, as Discord's API has it. */
interface Definition {
  readonly name: string;
  readonly options: readonly JsonObject[];
}

const SUB_COMMAND = 1;
const SUB_COMMAND_GROUP = 2;
const INTEGER = 4;
const BOOLEAN = 5;
const NUMBER = 10;

/** The typed line is not a command; the message says why. */
export class WordingError extends Error {}

/** The command options in a line: `name: value`, and text without a name for the first option. */
export function readOptions(command: JsonObject, text: string): readonly CommandOption[] {
  const { name, options } = definitionOf(command);
  const parts = options.filter((option) => isPart(option));
  if (parts.length === 0) {
    const given = readValues(text, options.map(nameOf));
    return options.flatMap((option) => {
      const value = given[nameOf(option)];
      return value === undefined ? [] : [{ name: nameOf(option), value: typed(option, value) }];
    });
  }
  const [word, rest] = splitWord(text);
  const part = parts.find((candidate) => nameOf(candidate) === word);
  if (part === undefined) {
    throw new WordingError(`/${name} needs one of these: ${parts.map(nameOf).join(', ')}`);
  }
  return [{ name: word, options: readOptions(part, rest) }];
}

/**
 * Values by name. `names` are the known names; text without a name goes to the first one. If there are none, any word before a
 * colon is a name.
 */
export function readValues(text: string, names: readonly string[]): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  const starts = [...text.matchAll(/(?<=^|\s)([\w-]{1,32})(?::\s?|=)/g)].filter(
    ([, name = '']) => names.length === 0 || names.includes(name),
  );
  const bare = text.slice(0, starts[0]?.index ?? text.length).trim();
  const [first] = names;
  if (bare !== '' && first !== undefined) {
    values[first] = unquoted(bare);
  } else if (bare !== '') {
    values[''] = unquoted(bare);
  }
  for (const [index, { 0: start, 1: name = '', index: at }] of starts.entries()) {
    values[name] = unquoted(text.slice(at + start.length, starts[index + 1]?.index).trim());
  }
  return values;
}

/** The first word, and what follows it. */
export function splitWord(line: string): readonly [string, string] {
  const [, word = '', rest = ''] = /^\/?(\S*)\s*([^]*)$/.exec(line.trim()) ?? [];
  return [word, rest.trim()];
}

/** How to type a command: `/deploy environment:(staging|production) [version:]`. */
export function usageOf(command: JsonObject): readonly string[] {
  const { name, options } = definitionOf(command);
  const parts = options.filter((option) => isPart(option));
  if (parts.length > 0) {
    return parts.flatMap((part) => usageOf({ ...part, name: `${name} ${nameOf(part)}` }));
  }
  const words = options.map((option) => {
    const choices = choicesOf(option);
    const text = `${nameOf(option)}:${choices.length === 0 ? '' : `(${choices.join('|')})`}`;
    return option['required'] === true ? text : `[${text}]`;
  });
  return [[name, ...words].join(' ')];
}

/** A line that runs the command, with a value for each required option. */
export function exampleOf(command: JsonObject): string {
  const { name, options } = definitionOf(command);
  const part = options.find((option) => isPart(option));
  if (part !== undefined) {
    return `${name} ${exampleOf(part)}`;
  }
  const needed = options.filter((option) => option['required'] === true);
  return [name, ...needed.map((option) => `${nameOf(option)}: ${exampleValue(option)}`)].join(' ');
}

function exampleValue(option: JsonObject): string {
  const [choice] = choicesOf(option);
  const { type, min_value: min, min_length: length } = option;
  if (choice !== undefined) {
    return choice;
  }
  if (type === INTEGER || type === NUMBER) {
    return String(typeof min === 'number' ? min : 1);
  }
  return type === BOOLEAN ? 'true' : 'sandbox'.padEnd(typeof length === 'number' ? length : 0, 'x');
}

/** Undefined fields are empty. */
function definitionOf(command: JsonObject): Definition {
  const options = Array.isArray(command['options']) ? (command['options'] as unknown[]).filter(isRecord) : [];
  return { name: nameOf(command), options };
}

function isPart({ type }: JsonObject): boolean {
  return type === SUB_COMMAND || type === SUB_COMMAND_GROUP;
}

function nameOf({ name }: JsonObject): string {
  return String(name);
}

function choicesOf(option: JsonObject): readonly string[] {
  const choices = Array.isArray(option['choices']) ? (option['choices'] as unknown[]).filter(isRecord) : [];
  return choices.map(({ value }) => (typeof value === 'number' ? String(value) : (value as string)));
}

/** Converts text to the option's type like Discord's client, which rejects invalid text. */
function typed(option: JsonObject, text: string): string | number | boolean {
  const { type } = option;
  if (type === BOOLEAN) {
    if (!/^(?:true|false)$/i.test(text)) {
      throw new WordingError(`${nameOf(option)}: must be true or false`);
    }
    return text.toLowerCase() === 'true';
  }
  if (type === INTEGER || type === NUMBER) {
    if (text === '' || Number.isNaN(Number(text))) {
      throw new WordingError(`${nameOf(option)}: must be a number`);
    }
    return Number(text);
  }
  return text;
}

function unquoted(text: string): string {
  return /^"[^"]*"$|^'[^']*'$/.test(text) ? text.slice(1, -1) : text;
}
