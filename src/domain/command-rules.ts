import { FacteurError } from '../base/errors.ts';
import type { CommandDefinition } from './command.ts';
import { dnsLabel, labelValue, namePrefix } from './workflow-name.ts';

/** Labels for unknown command names: callers must not be able to create unlimited series. */
export const UNKNOWN_LABEL = '(unknown)';
export const OTHER_LABEL = '(other)';

/** An operator's rules for commands, by lowercase name. Neither map has a prototype. */
export interface CommandRules {
  readonly commands: Readonly<Record<string, CommandDefinition>>;
  /** Role ids that may run a command; absent or empty means anyone. */
  readonly roleMap: Readonly<Record<string, readonly string[]>>;
  /** The Discord server where commands are registered. Its id among roles is `@everyone`, which admits nobody. */
  readonly guildId?: string | undefined;
  /** Set while the templates that may define commands have not been read: an unknown name may belong to one of them. */
  readonly incomplete?: true;
}

/** The current rules. They change as a whole: for a consistent view, read them once. */
export interface RuleSource {
  readonly rules: () => CommandRules;
}

/**
 * The name under which a command is authorized and run: the name that the rules use, compared case-insensitively. A name without
 * a rule of its own is matched by the workflow name that it would produce. So `plan.` or full-width letters do not bypass a rule
 * for `plan`, nor does `!!!`, which would run as `run-…`, bypass one for `run`. A name that matches no rule stays unchanged.
 */
export function ruledName(name: string, { commands, roleMap }: CommandRules): string {
  const key = name.toLowerCase();
  if (Object.hasOwn(commands, key) || Object.hasOwn(roleMap, key)) {
    return key;
  }
  const known = [...Object.keys(commands), ...Object.keys(roleMap)];
  return known.find((one) => looksLike(name, one)) ?? known.find((one) => runsLike(name, one)) ?? name;
}

/** A command's name as a metric label: `(unknown)` if empty, `(other)` if the command is not defined. */
export function commandLabel(name: string, { commands }: Pick<CommandRules, 'commands'>): string {
  const key = name.trim().toLowerCase();
  if (key === '') {
    return UNKNOWN_LABEL;
  }
  return Object.hasOwn(commands, key) ? key : OTHER_LABEL;
}

/** The definition for a name, by {@link ruledName}; undefined if there is none, as for `constructor`. */
export function findCommand(rules: CommandRules, name: string): CommandDefinition | undefined {
  const key = ruledName(name, rules);
  return Object.hasOwn(rules.commands, key) ? rules.commands[key] : undefined;
}

/**
 * Like {@link findCommand}, but fails while an undefined name may belong to a template.
 *
 * @throws FacteurError `commands.unread` while it may be the command of a template that is not known yet
 */
export function definitionOf(rules: CommandRules, name: string): CommandDefinition | undefined {
  const definition = findCommand(rules, name);
  if (definition === undefined && rules.incomplete === true) {
    throw unread();
  }
  return definition;
}

/**
 * The roles that may run the command with exactly this name; none if it is unknown.
 *
 * @throws FacteurError `commands.unread` while a template that is not known yet may add some
 */
export function rolesOf(name: string, { commands, roleMap, incomplete }: CommandRules): readonly string[] {
  const roles = mappedRoles(roleMap, name);
  if (incomplete === true && roles.length === 0 && !Object.hasOwn(commands, name)) {
    throw unread();
  }
  return roles;
}

/** The roles under exactly this name; none for names that every object has, such as `constructor`. */
export function mappedRoles(roleMap: CommandRules['roleMap'], name: string): readonly string[] {
  return Object.hasOwn(roleMap, name) ? (roleMap[name] ?? []) : [];
}

function unread(): FacteurError {
  return new FacteurError('commands.unread', 'the commands of templates are not known yet', { retryable: true });
}

/** Whether their workflows would have the same prefix or label. A name with an empty prefix matches no other. */
function looksLike(name: string, known: string): boolean {
  const [prefix, label] = [safeName(name), labelValue(name).toLowerCase()];
  return (prefix !== '' && prefix === safeName(known)) || (label !== '' && label === labelValue(known).toLowerCase());
}

/** Whether their workflows' names would have the same prefix, which is `run` for a name without a letter or digit. */
function runsLike(name: string, known: string): boolean {
  return namePrefix(name) === namePrefix(known);
}

/** The workflow prefix without invisible characters, and with full-width letters as plain ones. */
function safeName(name: string): string {
  return dnsLabel(name.normalize('NFKC').replaceAll(/\p{Default_Ignorable_Code_Point}/gu, ''));
}
