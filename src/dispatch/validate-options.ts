import type { OptionDefinition, OptionType } from '../domain/command.ts';
import { subcommandOf } from '../domain/subcommand.ts';

/**
 * What breaks a command's definition, a sentence each that names the option and never repeats its value; empty when
 * nothing does. An empty value counts as absent. What a subcommand requires binds only those who chose it.
 */
export function optionFaults(
  definitions: readonly OptionDefinition[],
  options: Readonly<Record<string, string>>,
): string[] {
  const known = new Map(definitions.map((definition) => [definition.name, definition]));
  const faults = Object.keys(options)
    .filter((name) => !known.has(name))
    .map((name) => `${name}: this command has no such option`);
  const subcommands = new Set(definitions.map(({ name }) => subcommandOf(name)));
  const chosen = new Set(Object.keys(options).map(subcommandOf));
  if (subcommands.size > 0 && !subcommands.has('') && chosen.size === 0) {
    faults.push(`one of ${[...subcommands].join(', ')} must be chosen`);
  }
  for (const definition of definitions.filter(
    ({ name }) => subcommandOf(name) === '' || chosen.has(subcommandOf(name)),
  )) {
    const value = Object.hasOwn(options, definition.name) ? (options[definition.name] ?? '') : '';
    const fault = value === '' ? absenceFault(definition) : valueFault(definition, value);
    if (fault !== undefined) {
      faults.push(`${definition.name}: ${fault}`);
    }
  }
  return faults;
}

function absenceFault(definition: OptionDefinition): string | undefined {
  return definition.required ? 'is required' : undefined;
}

function valueFault(definition: OptionDefinition, value: string): string | undefined {
  const choices = definition.choices?.map((choice) => choice.value) ?? [];
  if (choices.length > 0) {
    return choices.some((choice) => isSame(definition.type, choice, value))
      ? undefined
      : `must be one of ${choices.join(', ')}`;
  }
  return CHECKS[definition.type](definition, value);
}

/** Discord sends a choice `1.0` or `007` as the number that it is. */
function isSame(type: OptionType, choice: string, value: string): boolean {
  return choice === value || (type !== 'string' && isNumber(value) && Number(choice) === Number(value));
}

type Check = (definition: OptionDefinition, value: string) => string | undefined;

const CHECKS: Readonly<Record<OptionType, Check>> = {
  string: textFault,
  boolean: (_, value) => (value === 'true' || value === 'false' ? undefined : 'must be true or false'),
  integer: (definition, value) => (isInteger(value) ? rangeFault(definition, Number(value)) : 'must be a whole number'),
  number: (definition, value) => (isNumber(value) ? rangeFault(definition, Number(value)) : 'must be a number'),
};

/** Past 2^53 a number would not be the one that was written. */
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

/** Only days that exist: `2026-02-30` is none. */
function isCalendarDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) {
    return false;
  }
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}
