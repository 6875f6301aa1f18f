import type { Principal } from './command.ts';
import { argoFault } from './argo-text.ts';
import { rolesOf, ruledName, type CommandRules } from './command-rules.ts';
import type { FieldFault } from './refusal.ts';

const PREFIX = 'facteur.proompteng.ai/';

export type Verdict = 'approved' | 'rejected';

/** Who decides an approval and how, according to the annotations of its suspend template. */
export interface ApprovalRules {
  /** Role ids, command names of the role map, and `user:ID`. Empty: anyone who may run the command. */
  readonly approvers: readonly string[];
  /** The question, or empty. */
  readonly message: string;
  /** Null for no deadline. */
  readonly timeoutSeconds: number | null;
  readonly onTimeout: 'reject' | 'approve' | 'leave';
  readonly selfApproval: boolean;
  /** The number of people who must approve. One rejection is enough. */
  readonly quorum: number;
  /** Whether a rejection takes a reason. */
  readonly reason: 'required' | 'optional' | 'none';
  /** The channel to ask in; empty: where the run was requested. */
  readonly channel: string;
  /** The invalid annotations, or empty if all are valid. If there are any, nobody can decide here. */
  readonly problem: string;
}

/** An output that the approver must supply. */
export interface ApprovalField {
  readonly name: string;
  readonly description: string;
  /** The preset value, or null. */
  readonly preset: string | null;
  /** The allowed values; null for any text. */
  readonly choices: readonly string[] | null;
}

type Reader<T> = (text: string) => T | undefined;

const oneOf =
  <T extends string>(...values: readonly T[]): Reader<T> =>
  (text) =>
    values.find((value) => value === text);

const READERS = {
  approvers: (text: string) => {
    const names = text.split(/[\s,]+/).filter((name) => name !== '');
    // An empty list does not mean everybody who may run the command.
    return names.length > 0 && names.every((name) => /^(?:user:)?[\w:-]{1,64}$/.test(name)) ? names : undefined;
  },
  'approval-message': (text: string) => text,
  'approval-timeout': durationSeconds,
  'on-timeout': oneOf('reject', 'approve', 'leave'),
  'self-approval': (text: string) => ({ true: true, false: false })[text],
  quorum: (text: string) => (/^[1-9]\d?$/.test(text) ? Number(text) : undefined),
  reason: oneOf('required', 'optional', 'none'),
  channel: (text: string) => (/^\d{17,20}$/.test(text) ? text : undefined),
} as const;

type Rule = keyof typeof READERS;

/** Reads the annotations of a suspend template. If one is invalid, nobody can decide: a guess could admit anybody. */
export function readApprovalRules(annotations: Readonly<Record<string, unknown>>): ApprovalRules {
  const problems: string[] = [];
  const read = <K extends Rule>(rule: K): ReturnType<(typeof READERS)[K]> => {
    const text = annotations[PREFIX + rule];
    if (text === undefined) {
      return undefined as ReturnType<(typeof READERS)[K]>;
    }
    const value = typeof text === 'string' ? READERS[rule](text.trim()) : undefined;
    if (value === undefined) {
      problems.push(PREFIX + rule);
    }
    return value as ReturnType<(typeof READERS)[K]>;
  };
  return {
    approvers: read('approvers') ?? [],
    message: read('approval-message') ?? '',
    timeoutSeconds: read('approval-timeout') ?? null,
    onTimeout: read('on-timeout') ?? 'reject',
    selfApproval: read('self-approval') ?? false,
    quorum: read('quorum') ?? 1,
    reason: read('reason') ?? 'optional',
    channel: read('channel') ?? '',
    problem: problems.length === 0 ? '' : `invalid annotation ${problems.join(', ')}`,
  };
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { d: 86_400, h: 3600, m: 60, s: 1 };
const MAX_TIMEOUT_SECONDS = 366 * 86_400;

/** Parses a duration in an annotation: `2h`, `1h30m`, `90` (seconds) or `2d`. Undefined for anything else, and for zero. */
export function durationSeconds(text: string): number | undefined {
  if (!/^(?:\d{1,9}|(?:\d{1,9}[dhms])+)$/.test(text)) {
    return undefined;
  }
  let seconds = 0;
  for (const [, count, unit = ''] of text.matchAll(/(\d{1,9})([dhms]?)/g)) {
    seconds += Number(count) * (UNIT_SECONDS[unit] ?? 1);
  }
  return seconds > 0 && seconds <= MAX_TIMEOUT_SECONDS ? seconds : undefined;
}

/** The people who may decide. */
export interface Approvers {
  readonly roles: readonly string[];
  readonly users: readonly string[];
}

/**
 * Resolves the approvers' names by the role map. Without any, the approvers are the roles that may run the command.
 *
 * @throws FacteurError `commands.unread` while templates that are not known yet may define one of these commands
 */
export function approversOf(
  { approvers }: Pick<ApprovalRules, 'approvers'>,
  command: string,
  rules: CommandRules,
): Approvers {
  const users = approvers.flatMap((name) => (name.startsWith('user:') ? [name.slice('user:'.length)] : []));
  const named = approvers.filter((name) => !name.startsWith('user:'));
  const roles =
    approvers.length === 0
      ? rolesOf(commandOf(command, rules), rules)
      : named.flatMap((name) => (/^\d{17,20}$/.test(name) ? [name] : rolesOf(name.toLowerCase(), rules)));
  const held = roles.filter((role) => role !== rules.guildId);
  return { roles: [...new Set(held)], users: [...new Set(users)] };
}

/** A name that only resembles a known one may be the exact name of a command that is not known yet, with other roles. */
function commandOf(command: string, rules: CommandRules): string {
  return rules.incomplete === true ? command.toLowerCase() : ruledName(command, rules);
}

/** Whether nobody at all may decide in Discord. False while that is unknown. */
export function isUndecidable(
  asked: Pick<ApprovalRules, 'approvers' | 'problem'>,
  command: string,
  rules: CommandRules,
): boolean {
  if (rules.incomplete === true) {
    return asked.problem !== '';
  }
  const { roles, users } = approversOf(asked, command, rules);
  return asked.problem !== '' || roles.length + users.length === 0;
}

/** Why somebody may not decide; undefined if they may. */
export type Objection =
  /** A bot, or an unknown user. */
  | 'bot'
  /** The rules allow nobody. */
  | 'nobody'
  | 'not_listed'
  /** Requested the run, or a run that it retries. */
  | 'starter'
  | 'invalid_rules';

interface Judged {
  readonly rules: ApprovalRules;
  readonly approvers: Approvers;
  /** Requesters of the run and of the runs that it retries. */
  readonly starters: readonly string[];
}

/** Why this person may not decide with their current roles; undefined if they may. */
export function objectionTo(
  { userId, roles, bot = false }: Principal,
  { rules, approvers, starters }: Judged,
): Objection | undefined {
  const isListed = approvers.users.includes(userId) || approvers.roles.some((role) => roles.includes(role));
  const objections: readonly (readonly [boolean, Objection])[] = [
    [rules.problem !== '', 'invalid_rules'],
    [bot || userId === '', 'bot'],
    [approvers.roles.length + approvers.users.length === 0, 'nobody'],
    [!isListed, 'not_listed'],
    [starters.includes(userId) && !rules.selfApproval, 'starter'],
  ];
  return objections.find(([applies]) => applies)?.[1];
}

/** How to ask for the outputs of an approval. */
export type Asking =
  | { readonly kind: 'buttons' }
  /** Both buttons set the output and resume the workflow, and the template decides by its value. */
  | { readonly kind: 'pair'; readonly field: string; readonly yes: string; readonly no: string }
  | { readonly kind: 'form'; readonly fields: readonly ApprovalField[] }
  /** More outputs than a form in Discord can have. */
  | { readonly kind: 'too_many' };

const YES = new Set(['yes', 'y', 'true', 'approve', 'approved', 'accept', 'ok', 'go']);
const NO = new Set(['no', 'n', 'false', 'reject', 'rejected', 'deny', 'decline', 'stop']);
/** Maximum number of inputs in one form. */
const MAX_FIELDS = 5;

export function askingOf(fields: readonly ApprovalField[]): Asking {
  const [only] = fields;
  if (only === undefined) {
    return { kind: 'buttons' };
  }
  const choices = fields.length === 1 ? (only.choices ?? []) : [];
  const yes = choices.find((choice) => YES.has(choice.toLowerCase()));
  const no = choices.find((choice) => NO.has(choice.toLowerCase()));
  if (choices.length === 2 && yes !== undefined && no !== undefined) {
    return { kind: 'pair', field: only.name, yes, no };
  }
  return fields.length > MAX_FIELDS ? { kind: 'too_many' } : { kind: 'form', fields };
}

/** The limit of a text input, and of a value that a decision may put into a workflow. */
const MAX_VALUE = 4000;

/** The outputs of an approval: the given values, or else the presets. Faults name fields, never values. */
export function outputsOf(
  fields: readonly ApprovalField[],
  given: Readonly<Record<string, string>>,
): { readonly values: Readonly<Record<string, string>>; readonly faults: readonly FieldFault[] } {
  const known = new Set(fields.map(({ name }) => name));
  const faults: FieldFault[] = Object.keys(given)
    .filter((name) => !known.has(name))
    .map((field) => ({ field, message: 'unknown output' }));
  const values = new Map<string, string>();
  for (const field of fields) {
    const value = (Object.hasOwn(given, field.name) ? given[field.name] : undefined) ?? field.preset ?? undefined;
    const message = value === undefined ? missing(field) : valueFault(field, value);
    if (message !== undefined) {
      faults.push({ field: field.name, message });
    } else if (value !== undefined) {
      values.set(field.name, value);
    }
  }
  return { values: Object.fromEntries(values), faults };
}

/** Whether an approval can supply this text and the ledger can store it. */
export function isSuppliable(value: string): boolean {
  return value.isWellFormed() && value.length <= MAX_VALUE && argoFault(value) === undefined;
}

function missing({ choices }: ApprovalField): string {
  return choices === null ? 'is required' : `is required: one of ${listed(choices)}`;
}

/** As many as a Discord menu can have. */
function listed(choices: readonly string[]): string {
  return choices.slice(0, 25).join(', ');
}

function valueFault({ choices }: ApprovalField, value: string): string | undefined {
  if (choices !== null && !choices.includes(value)) {
    return `must be one of ${listed(choices)}`;
  }
  if (value.length > MAX_VALUE) {
    return `must not be longer than ${MAX_VALUE} characters`;
  }
  return argoFault(value)?.message;
}
