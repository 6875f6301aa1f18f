import { MAX_CHOICES, type CommandDefinition, type OptionDefinition, type OptionType } from '../domain/command.ts';
import type { FieldFault } from '../domain/refusal.ts';
import { subcommandOf } from '../domain/subcommand.ts';

/**
 * Violations of a command's definition, by option (an empty field: the options together), never with the value. An empty value
 * counts as absent. Required options of a subcommand apply only if it was chosen.
 */
export function optionFaults(
  definitions: readonly OptionDefinition[],
  options: Readonly<Record<string, string>>,
): FieldFault[] {
  const known = new Map(definitions.map((definition) => [definition.name, definition]));
  const faults: FieldFault[] = Object.keys(options)
    .filter((name) => !known.has(name))
    .map((field) => ({ field, message: 'is an unknown option' }));
  const subcommands = new Set(definitions.map(({ name }) => subcommandOf(name)));
  const chosen = new Set(Object.keys(options).map(subcommandOf));
  if (subcommands.size > 0 && !subcommands.has('') && chosen.size === 0) {
    faults.push({ field: '', message: `a subcommand is required: ${[...subcommands].join(', ')}` });
  }
  for (const definition of definitions.filter(
    ({ name }) => subcommandOf(name) === '' || chosen.has(subcommandOf(name)),
  )) {
    const value = Object.hasOwn(options, definition.name) ? (options[definition.name] ?? '') : '';
    const message = value === '' ? absenceFault(definition) : valueFault(definition, value);
    if (message !== undefined) {
      faults.push({ field: definition.name, message });
    }
  }
  return faults;
}

function absenceFault(definition: OptionDefinition): string | undefined {
  return definition.required ? 'is required' : undefined;
}

function valueFault(definition: OptionDefinition, value: string): string | undefined {
  if ((definition.choices ?? []).length > 0) {
    return choiceOf(definition, value) === undefined ? `must be one of ${namesOf(definition)}` : undefined;
  }
  return CHECKS[definition.type](definition, value);
}

/** Maximum number of names listed in a message. */
const MAX_NAMED = 25;

/** The allowed values, as the user sees them. */
function namesOf({ choices = [], meanings = {} }: OptionDefinition): string {
  const names = choices.map(({ name, value }) => (Object.hasOwn(meanings, value) ? name : value));
  const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} others` : '';
  return `${names.slice(0, MAX_NAMED).join(', ')}${more}`;
}

/** The choice that a value selects: by its value, by its meaning, or by its name, which a user would type. */
function choiceOf({ type, choices = [], meanings = {} }: OptionDefinition, value: string): string | undefined {
  const found =
    choices.find((choice) => choice.value === value) ??
    choices.find((choice) => isSame(type, choice.value, value)) ??
    choices.find((choice) => meanings[choice.value] === value) ??
    choices.find((choice) => Object.hasOwn(meanings, choice.value) && choice.name === value);
  return found?.value;
}

/**
 * The parameter's text for a sent value, as the definition writes it. Discord sends the choices `1.0` and `007` as 1 and 7, which
 * would not match the `enum` of a template in Argo. Text that Discord cannot carry is sent under another name.
 */
export function meantValue(definition: OptionDefinition | undefined, value: string): string {
  if (definition === undefined) {
    return value;
  }
  const { meanings = {} } = definition;
  const chosen = choiceOf(definition, value) ?? value;
  return Object.hasOwn(meanings, chosen) ? (meanings[chosen] ?? value) : chosen;
}

/** The only values that {@link meantValue} can return for a valid option; undefined if there are others. */
export function closedValues({ choices = [], meanings = {} }: OptionDefinition): readonly string[] | undefined {
  const sent = choices.length > 0 ? choices.map(({ value }) => value) : Object.keys(meanings);
  const values = sent.map((value) => (Object.hasOwn(meanings, value) ? (meanings[value] ?? value) : value));
  return values.length === 0 ? undefined : values;
}

/** Discord sends a choice `1.0` or `007` as a number. */
function isSame(type: OptionType, choice: string, value: string): boolean {
  return choice === value || (type !== 'string' && isNumber(value) && Number(choice) === Number(value));
}

type Check = (definition: OptionDefinition, value: string) => string | undefined;

const CHECKS: Readonly<Record<OptionType, Check>> = {
  string: textFault,
  boolean: ({ meanings = {} }, value) =>
    value === 'true' || value === 'false' || Object.values(meanings).includes(value)
      ? undefined
      : 'must be true or false',
  integer: (definition, value) => (isInteger(value) ? rangeFault(definition, Number(value)) : 'must be a whole number'),
  number: (definition, value) => (isNumber(value) ? rangeFault(definition, Number(value)) : 'must be a number'),
};

/** Beyond 2^53 a number would lose precision. */
function isInteger(text: string): boolean {
  return /^-?\d{1,16}$/.test(text) && Number.isSafeInteger(Number(text));
}

function isNumber(text: string): boolean {
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) && Number.isFinite(Number(text));
}

function rangeFault({ min, max }: OptionDefinition, value: number): string | undefined {
  if (min !== undefined && value < min) {
    return `must be at least ${min}`;
  }
  return max !== undefined && value > max ? `must be at most ${max}` : undefined;
}

function textFault({ format, minLength, maxLength }: OptionDefinition, value: string): string | undefined {
  if (format === 'date') {
    return isCalendarDate(value) ? undefined : 'must be an ISO 8601 date such as 2026-01-31';
  }
  const length = [...value].length;
  if (minLength !== undefined && length < minLength) {
    return `must have at least ${minLength} characters`;
  }
  return maxLength !== undefined && length > maxLength ? `must have at most ${maxLength} characters` : undefined;
}

/** Only existing days: `2026-02-30` is invalid. */
function isCalendarDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) {
    return false;
  }
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

/**
 * Whether only an earlier version of the definition explains a violation: Discord checks a command against the definition that it
 * knows before it sends it. It does not check forms, values from autocomplete, and dates.
 */
export function isOutdated(
  { modal, options: definitions }: Pick<CommandDefinition, 'modal' | 'options'>,
  faults: readonly FieldFault[],
): boolean {
  return faults.some(({ field }) => {
    const definition = definitions.find(({ name }) => name === field);
    const unchecked = modal !== undefined || (definition?.choices ?? []).length > MAX_CHOICES;
    return definition === undefined || (!unchecked && definition.format === undefined);
  });
}
