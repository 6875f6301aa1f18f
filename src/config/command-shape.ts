import * as z from 'zod';
import { MAX_CHOICES } from '../domain/command.ts';
import { expected, flag, integer, kubernetesName, list, parameters, text } from './kinds.ts';

/**
 * The limits below are Discord's own: https://discord.com/developers/docs/interactions/application-commands for commands
 * and options, https://discord.com/developers/docs/components/reference#text-input for forms.
 */
const MAX_OPTIONS = 25;
const MAX_FIELDS = 5;
const MAX_OPTION_LENGTH = 6000;
const MAX_FIELD_LENGTH = 4000;

const NAME = /^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$/u;
const NAME_RULE = 'must be 1 to 32 lower-case letters, digits, dashes or underscores';
const PARAMETER_RULE =
  'becomes a workflow parameter: use only the letters a to z, digits, dashes, underscores and dots';
const OPTION_NAME_RULE = `${NAME_RULE}, or up to three of those with dots between them`;

/** The name of a slash command or of an option. Editors get a simpler pattern, because not all of them understand `\p{…}`. */
export function commandName(): z.ZodString {
  return text()
    .refine(isName, NAME_RULE)
    .meta({ pattern: String.raw`^\S{1,32}$` });
}

/**
 * The name of an option, or of one of a subcommand: `subcommand.option`, `group.subcommand.option`. Discord nests no
 * deeper.
 */
function optionName(): z.ZodString {
  return text()
    .refine((value) => value.split('.').length <= 3 && value.split('.').every(isName), OPTION_NAME_RULE)
    .refine(isParameter, PARAMETER_RULE)
    .meta({ pattern: String.raw`^[^\s.]{1,32}(\.[^\s.]{1,32}){0,2}$` });
}

/** Discord accepts other letters too, but options and fields become parameters, and Argo accepts no others. */
function isParameter(value: string): boolean {
  return /^[-\w.]+$/.test(value);
}

function isName(value: string): boolean {
  return NAME.test(value) && value === value.toLowerCase();
}

const upTo = (max: number): z.ZodString => text().max(max, `must be at most ${max} characters`);

const number = (): z.ZodNumber => z.number({ error: expected('a number') });

const oneOf = <const T extends readonly string[]>(...values: T): z.ZodEnum<z.core.util.ToEnum<T[number]>> =>
  z.enum(values, { error: expected(`one of ${values.join(', ')}`) });

const choice = () => z.strictObject({ name: upTo(100), value: upTo(100) });

const option = () =>
  z.strictObject({
    name: optionName(),
    description: upTo(100),
    type: oneOf('string', 'integer', 'number', 'boolean').default('string'),
    required: flag().default(false),
    format: oneOf('date').optional(),
    choices: list(z.union([upTo(100), choice()]))
      .max(MAX_CHOICES, `must have at most ${MAX_CHOICES} choices`)
      .optional(),
    min: number().optional(),
    max: number().optional(),
    min_length: integer(0, MAX_OPTION_LENGTH).optional(),
    max_length: integer(1, MAX_OPTION_LENGTH).optional(),
    autocomplete: list(upTo(100)).optional(),
  });

const field = () =>
  z.strictObject({
    name: upTo(100).refine(isParameter, PARAMETER_RULE),
    label: upTo(45),
    style: oneOf('short', 'paragraph').default('short'),
    // As in Discord itself.
    required: flag().default(true),
    min_length: integer(0, MAX_FIELD_LENGTH).optional(),
    max_length: integer(1, MAX_FIELD_LENGTH).optional(),
    placeholder: upTo(100).optional(),
  });

const modal = () =>
  z.strictObject({
    title: upTo(45),
    fields: list(field())
      .min(1, 'must have at least 1 field')
      .max(MAX_FIELDS, `must have at most ${MAX_FIELDS} fields`),
  });

const command = () =>
  z.strictObject({
    description: upTo(100),
    options: list(option()).max(MAX_OPTIONS, `must have at most ${MAX_OPTIONS} options`).default([]),
    modal: modal().optional(),
    namespace: kubernetesName().optional(),
    workflow_template: kubernetesName().optional(),
    service_account: kubernetesName().optional(),
    parameters: parameters().default({}),
    title_option: upTo(100).optional(),
    notify: oneOf('author', 'role', 'none').default('none'),
    quiet: flag().default(false),
    confirm: flag().default(false),
    ephemeral: flag().optional(),
    report: flag().default(true),
    reflections: flag().default(false),
  });

/**
 * The schema of one slash command; `command-rules.ts` has the rules between its keys. Built on first use, because most files
 * define no command.
 */
export const COMMAND = z.lazy(command);

export type CommandEntry = z.output<ReturnType<typeof command>>;
export type OptionEntry = z.output<ReturnType<typeof option>>;
export type ModalEntry = z.output<ReturnType<typeof modal>>;
