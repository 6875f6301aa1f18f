import { hash } from 'node:crypto';
import { hideCredentials } from '../base/known-credentials.ts';
import { namesSecret } from '../base/redact.ts';
import { argoFault } from './argo-text.ts';
import { commandText, shorten } from './command-text.ts';
import type { ModalField, OptionDefinition } from './command.ts';
import type { NumberType } from './template-annotations.ts';
import type { TemplateParameter } from './template-parameters.ts';

/** Discord's limit for a description, and for the name and value of a choice. */
const MAX_TEXT = 100;
const MAX_NAME = 32;
const MAX_LABEL = 45;

/** Text that needs a form: long, or on several lines. */
export function isProse(text: string): boolean {
  return [...text].length > MAX_TEXT || text.includes('\n');
}

/** A parameter's name in Discord's form. Argo's names have only letters, digits, dashes and underscores. */
function optionName(parameter: string): string {
  return parameter.toLowerCase().slice(0, MAX_NAME);
}

/** The option of a parameter, or a sentence about why it cannot have one. */
export function optionOf(parameter: TemplateParameter, type: NumberType | undefined): OptionDefinition | string {
  const { name, values } = parameter;
  const common = {
    name: optionName(name),
    description: describe(parameter, type !== undefined),
    required: isRequired(parameter),
    parameter: name,
  };
  const fault = type === undefined ? unlisted(parameter) : numberFault(parameter, type);
  if (fault !== undefined) {
    return fault;
  }
  if (type !== undefined) {
    const choices = values.map((value) => ({ name: value, value }));
    return { ...common, ...type, ...(choices.length === 0 ? {} : { choices }) };
  }
  const words = SWITCHES.find(({ on, off }) => values.length === 2 && values.includes(on) && values.includes(off));
  if (words !== undefined) {
    return { ...common, type: 'boolean', meanings: { true: words.on, false: words.off } };
  }
  return { ...common, type: 'string', ...closedChoices(values) };
}

/** The same parameter as a field of a form. */
export function fieldOf(option: OptionDefinition, parameter: TemplateParameter, isLong: boolean): ModalField {
  const { fallback = '' } = parameter;
  const preset = shownDefault(parameter, option.type === 'integer' || option.type === 'number');
  const allowed = parameter.values.length === 0 ? '' : `one of: ${parameter.values.join(', ')}`;
  const hint = preset === '' ? allowed : [allowed, `default: ${preset}`].filter((part) => part !== '').join('; ');
  const placeholder = shorten(hint.replaceAll(/\s+/g, ' ').trim(), MAX_TEXT);
  return {
    name: option.name,
    label: commandText(parameter.description, MAX_LABEL) || shorten(parameter.name, MAX_LABEL),
    style: isLong || isProse(fallback) ? 'paragraph' : 'short',
    required: option.required,
    ...(placeholder === '' ? {} : { placeholder }),
  };
}

/** Whether there is no other value if the user omits it. */
export function isRequired({ fallback, values, elsewhere }: TemplateParameter): boolean {
  // An empty value next to an enum without one only means that the user must choose.
  const stands = fallback !== undefined && (fallback !== '' || values.length === 0 || values.includes(''));
  return !stands && !elsewhere;
}

/** Enums that act as a switch. */
const SWITCHES = [
  { on: 'true', off: 'false' },
  { on: 'yes', off: 'no' },
];

function describe(parameter: TemplateParameter, isNumber: boolean): string {
  const { name, description } = parameter;
  const fallback = shownDefault(parameter, isNumber);
  const text = commandText(description, MAX_TEXT) || shorten(name, MAX_TEXT);
  const full = `${text} (default: ${fallback})`;
  return fallback === '' || isProse(full) ? text : full;
}

/**
 * The whole server sees it, even people who may not run the command. A number, or a value that is listed anyway, is not secret.
 */
function shownDefault({ name, values, fallback = '' }: TemplateParameter, isNumber: boolean): string {
  return namesSecret(name) && !isNumber && values.length === 0 ? '' : hideCredentials(fallback);
}

function unlisted({ name, values, fallback = '' }: TemplateParameter): string | undefined {
  return values.length === 0 || fallback === '' || values.includes(fallback)
    ? undefined
    : `the default of ${name} is not in its enum`;
}

const NUMBERS = { integer: /^-?\d{1,16}$/, number: /^-?\d{1,16}(?:\.\d{1,16})?$/ } as const;

function numberFault({ name, values, fallback = '' }: TemplateParameter, type: NumberType): string | undefined {
  const fits = (text: string): boolean =>
    NUMBERS[type.type].test(text) && Math.abs(Number(text)) <= Number.MAX_SAFE_INTEGER;
  const within = (value: number): boolean => value >= (type.min ?? -Infinity) && value <= (type.max ?? Infinity);
  const stated = fallback === '' ? values : [...values, fallback];
  if (!stated.every((value) => fits(value) && within(Number(value)))) {
    return `${name} has a value or default that is not of its type ${type.type}, or not within its bounds`;
  }
  if (new Set(values.map(Number)).size < values.length) {
    return `${name} has the same number twice in its enum`;
  }
  return fallback === '' || values.length === 0 || values.some((value) => Number(value) === Number(fallback))
    ? undefined
    : `the default of ${name} is not in its enum`;
}

/** The values of an enum as Discord can list them. A value that is too long, empty or not plain gets a short name. */
function closedChoices(values: readonly string[]): Pick<OptionDefinition, 'choices' | 'meanings'> {
  if (values.length === 0) {
    return {};
  }
  const meanings: Record<string, string> = {};
  const labels = new Set<string>();
  const choices = values.map((value) => {
    const sent = isPlain(value) ? value : `#${digest(value)}`;
    if (sent !== value) {
      meanings[sent] = value;
    }
    const name = uniqueLabel(value, labels);
    labels.add(name);
    return { name, value: sent };
  });
  return { choices, ...(Object.keys(meanings).length === 0 ? {} : { meanings }) };
}

/** Whether Discord returns the value unchanged, and Argo accepts it from a user. Other values get names that begin with `#`. */
function isPlain(value: string): boolean {
  return (
    value !== '' &&
    value.length <= MAX_TEXT &&
    value.trim() === value &&
    !value.startsWith('#') &&
    argoFault(value) === undefined
  );
}

/** By text, not by position: a choice from an earlier template must never mean a different value in the current one. */
function digest(value: string): string {
  return hash('sha256', value).slice(0, 16);
}

function uniqueLabel(value: string, taken: ReadonlySet<string>): string {
  const text = shorten(value.replaceAll(/[\p{Cc}\s]+/gu, ' ').trim(), MAX_TEXT) || '(empty)';
  if (!taken.has(text)) {
    return text;
  }
  const mark = ` #${digest(value).slice(0, 8)}`;
  return `${shorten(text, MAX_TEXT - mark.length)}${mark}`;
}
