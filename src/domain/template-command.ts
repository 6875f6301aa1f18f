import { isRecord } from '../base/json.ts';
import { commandCharacters, MAX_COMMAND_CHARACTERS } from './command-size.ts';
import { commandText, shorten } from './command-text.ts';
import type { CommandDefinition, OptionDefinition, TemplateSource } from './command.ts';
import type { FieldFault } from './refusal.ts';
import { EVERYONE_FAULT } from './snowflake.ts';
import {
  isCommandTemplate,
  isDiscordId,
  readAnnotations,
  serversAmongRoles,
  type CommandAnnotations,
} from './template-annotations.ts';
import { fieldOf, isProse, isRequired, optionOf } from './template-option.ts';
import { readParameters, type TemplateParameter } from './template-parameters.ts';

const MAX_OPTIONS = 25;
const MAX_FIELDS = 5;
const MAX_DESCRIPTION = 100;
const MAX_TITLE = 45;

/** Parameters that facteur gives every workflow, whether or not the template declares them. */
const FILLED: ReadonlySet<string> = new Set(['action', 'facteur_url', 'facteur_token', 'reflections']);

/** An operator's rules for commands from templates. */
export interface TemplateRules {
  /** Parameters that the configuration gives every workflow. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Names that the annotation `roles` may use for lists of role ids. */
  readonly roleMap: Readonly<Record<string, readonly string[]>>;
  /** The Discord server where commands are registered. */
  readonly guildId?: string | undefined;
  /** For templates without the `roles` annotation. */
  readonly defaultRoles: readonly string[];
  /** Service accounts that a template may name. */
  readonly serviceAccounts: readonly string[];
}

/** A command that a template defines, and the faults that prevent it, if any. */
export interface TemplateCommand {
  readonly source: TemplateSource;
  /** `deploy`, or the path of a subcommand with spaces. As written if it is invalid. */
  readonly name: string;
  readonly definition: CommandDefinition;
  /** The roles that may run it; never empty without a fault. */
  readonly roles: readonly string[];
  /** If there are any, the command does not exist. */
  readonly faults: readonly FieldFault[];
}

/**
 * The command of a WorkflowTemplate, given as the cluster's JSON; undefined if it defines none. Pure: the same template and rules
 * always make the same command.
 */
export function readTemplateCommand(template: unknown, rules: TemplateRules): TemplateCommand | undefined {
  if (!isCommandTemplate(template)) {
    return undefined;
  }
  const faults: FieldFault[] = [];
  const annotations = readAnnotations(template, faults);
  const spec: unknown = isRecord(template) ? template['spec'] : undefined;
  const { parameters, faults: misread } = readParameters(spec);
  faults.push(...misread, ...specFaults(spec, rules));
  const roles = rolesOf(annotations, rules, faults);
  const inputs = inputsOf(parameters, annotations, { rules, faults });
  const source = sourceOf(template);
  const definition: CommandDefinition = {
    description:
      commandText(annotations.description, MAX_DESCRIPTION) || `Run the template ${shorten(source.name, 80)}`,
    ...inputs,
    namespace: source.namespace,
    workflowTemplate: source.name,
    ...serviceAccountOf(spec),
    ...messageRules(annotations, inputs, faults),
    ephemeral: annotations.ephemeral,
    action: 'dispatch',
    configured: false,
    template: source,
    ...(annotations.guilds.length === 0 ? {} : { guilds: annotations.guilds }),
  };
  if (commandCharacters(annotations.command, definition) > MAX_COMMAND_CHARACTERS) {
    const message = `the command exceeds Discord's ${MAX_COMMAND_CHARACTERS} characters; shorten descriptions or enums`;
    faults.push({ field: 'spec.arguments.parameters', message });
  }
  return { source, name: annotations.command, definition, roles, faults };
}

/** What the messages of its runs show and do. */
function messageRules(
  { titleOption, notify, quiet, confirm, results }: CommandAnnotations,
  { options }: Pick<CommandDefinition, 'options'>,
  faults: FieldFault[],
): Pick<CommandDefinition, 'titleOption' | 'notify' | 'quiet' | 'confirm' | 'results'> {
  const title = options.find(({ name, parameter = name }) => parameter === titleOption);
  if (titleOption !== '' && title === undefined) {
    faults.push({ field: 'facteur.proompteng.ai/title-option', message: 'must name a parameter that users set' });
  }
  return {
    ...(title === undefined ? {} : { titleOption: title.name }),
    ...(notify === undefined ? {} : { notify }),
    ...(quiet ? { quiet } : {}),
    ...(confirm ? { confirm } : {}),
    ...(results.length === 0 ? {} : { results }),
  };
}

function sourceOf(template: unknown): TemplateSource {
  const metadata = isRecord(template) && isRecord(template['metadata']) ? template['metadata'] : {};
  const text = (key: string): string => (typeof metadata[key] === 'string' ? metadata[key] : '');
  return {
    namespace: text('namespace'),
    name: text('name'),
    uid: text('uid'),
    resourceVersion: text('resourceVersion'),
  };
}

function specFaults(spec: unknown, { serviceAccounts }: TemplateRules): readonly FieldFault[] {
  if (!isRecord(spec)) {
    return [{ field: 'spec', message: 'is missing' }];
  }
  const noEntry = typeof spec['entrypoint'] !== 'string' || spec['entrypoint'] === '';
  return [
    ...(noEntry ? [{ field: 'spec.entrypoint', message: 'is missing, so the template cannot run on its own' }] : []),
    ...namedAccounts(spec)
      .filter(({ account }) => !serviceAccounts.includes(account))
      .map(({ field, account }) => ({
        field,
        message: `${account} is not in commands_from_templates.service_accounts`,
      })),
  ];
}

/** Every service account that the template names for its pods. */
function namedAccounts(
  spec: Readonly<Record<string, unknown>>,
): { readonly field: string; readonly account: string }[] {
  const templates = Array.isArray(spec['templates']) ? (spec['templates'] as unknown[]) : [];
  const places: (readonly [string, unknown])[] = [
    ['spec', spec],
    ['spec.templateDefaults', spec['templateDefaults']],
    ...templates.map((one, index) => [`spec.templates[${index}]`, one] as const),
  ];
  return places.flatMap(([field, value]) => {
    const own = isRecord(value) ? value : {};
    const executor = isRecord(own['executor']) ? own['executor'] : {};
    return [
      { field: `${field}.serviceAccountName`, account: own['serviceAccountName'] },
      { field: `${field}.executor.serviceAccountName`, account: executor['serviceAccountName'] },
    ].filter(
      (named): named is { field: string; account: string } => typeof named.account === 'string' && named.account !== '',
    );
  });
}

function serviceAccountOf(spec: unknown): Pick<CommandDefinition, 'serviceAccount'> {
  const account = isRecord(spec) ? spec['serviceAccountName'] : undefined;
  return typeof account === 'string' && account !== '' ? { serviceAccount: account } : {};
}

/** Without roles nobody may run it: applying a template never makes anything public. */
function rolesOf(annotations: CommandAnnotations, rules: TemplateRules, faults: FieldFault[]): readonly string[] {
  const field = 'facteur.proompteng.ai/roles';
  const named = annotations.roles ?? rules.defaultRoles;
  const unknown = named.filter((role) => !isDiscordId(role) && !Object.hasOwn(rules.roleMap, role.toLowerCase()));
  if (unknown.length > 0) {
    faults.push({ field, message: `neither a role id nor a name in role_map: ${unknown.join(', ')}` });
  }
  const everyone = serversAmongRoles(annotations, rules.guildId);
  if (everyone.length > 0 && everyone.length === named.length) {
    faults.push({ field, message: `${everyone.join(', ')} ${EVERYONE_FAULT}` });
  }
  const ids = named.flatMap((role) => (isDiscordId(role) ? [role] : (rules.roleMap[role.toLowerCase()] ?? [])));
  if (ids.length === 0 && unknown.length === 0) {
    faults.push({ field, message: 'names no role, so nobody may run the command' });
  }
  return [...new Set(ids)];
}

interface Context {
  readonly rules: TemplateRules;
  readonly faults: FieldFault[];
}

/** The inputs that the user is asked for, and the values that are sent without asking. */
function inputsOf(
  parameters: readonly TemplateParameter[],
  annotations: CommandAnnotations,
  { rules, faults }: Context,
): Pick<CommandDefinition, 'options' | 'modal' | 'parameters'> {
  reportUnknown(parameters, annotations, faults);
  const isFilled = ({ name }: TemplateParameter): boolean => FILLED.has(name) || Object.hasOwn(rules.parameters, name);
  const [hide, long] = [new Set(annotations.hide), new Set(annotations.long)];
  const hidden = parameters.filter((one) => isFilled(one) || hide.has(one.name));
  for (const { name } of hidden.filter((one) => !isFilled(one) && isRequired(one))) {
    faults.push({ field: 'facteur.proompteng.ai/hide', message: `${name} is hidden, so it needs a value` });
  }
  const shown = parameters.filter((one) => !isFilled(one) && !hide.has(one.name));
  const asked = shown
    .map((parameter) => ({ parameter, option: optionOf(parameter, annotations.types.get(parameter.name)) }))
    .filter((one): one is { parameter: TemplateParameter; option: OptionDefinition } => {
      if (typeof one.option === 'string') {
        faults.push({ field: 'spec.arguments.parameters', message: one.option });
      }
      return typeof one.option !== 'string';
    })
    .toSorted((one, other) => Number(other.option.required) - Number(one.option.required));
  reportCollisions(asked, faults);
  const options = asked.map(({ option }) => option);
  const fixed = fixedParameters(parameters, rules);
  const isForm = shown.some(
    ({ name, values, fallback = '' }) => long.has(name) || (values.length === 0 && isProse(fallback)),
  );
  if (!isForm) {
    reportCount(options.length, MAX_OPTIONS, 'options', faults);
    return { options, parameters: fixed };
  }
  reportCount(options.length, MAX_FIELDS, 'fields', faults);
  const fields = asked.map(({ option, parameter }) => fieldOf(option, parameter, long.has(parameter.name)));
  return { options, modal: { title: shorten(`/${annotations.command}`, MAX_TITLE), fields }, parameters: fixed };
}

/** Sent explicitly, because Argo ignores the `default` of a workflow's arguments. */
function fixedParameters(
  parameters: readonly TemplateParameter[],
  rules: TemplateRules,
): Readonly<Record<string, string>> {
  const fixed = Object.create(null) as Record<string, string>;
  for (const parameter of parameters.filter(
    ({ name }) => name !== 'action' && !Object.hasOwn(rules.parameters, name),
  )) {
    const { name, fallback } = parameter;
    const value = fallback ?? (FILLED.has(name) ? '' : undefined);
    if (value !== undefined && (FILLED.has(name) || !isRequired(parameter))) {
      fixed[name] = value;
    }
  }
  return fixed;
}

/** A typo in `hide` would show a parameter, and one in `type` would leave it unchecked. */
function reportUnknown(
  parameters: readonly TemplateParameter[],
  annotations: CommandAnnotations,
  faults: FieldFault[],
): void {
  const known = new Set(parameters.map(({ name }) => name));
  const { hide, long, types } = annotations;
  for (const [key, names] of Object.entries({ hide, long, type: [...types.keys()] })) {
    const unknown = names.filter((name) => !known.has(name));
    if (unknown.length > 0) {
      faults.push({ field: `facteur.proompteng.ai/${key}`, message: `unknown parameter ${unknown.join(', ')}` });
    }
  }
}

function reportCollisions(
  asked: readonly { readonly parameter: TemplateParameter; readonly option: OptionDefinition }[],
  faults: FieldFault[],
): void {
  const byName = Map.groupBy(asked, ({ option }) => option.name);
  for (const [name, alike] of byName) {
    if (alike.length > 1) {
      const names = alike.map(({ parameter }) => parameter.name).join(' and ');
      faults.push({ field: 'spec.arguments.parameters', message: `${names} would both be the option ${name}` });
    }
  }
}

function reportCount(count: number, limit: number, what: string, faults: FieldFault[]): void {
  if (count > limit) {
    const message = `${count} parameters, but Discord takes ${limit} ${what}; hide some with the annotation facteur.proompteng.ai/hide`;
    faults.push({ field: 'spec.arguments.parameters', message });
  }
}
