import type { Principal } from './command.ts';
import { argoFault } from './argo-text.ts';
import { rolesOf, ruledName, type CommandRules } from './command-rules.ts';
import type { FieldFault } from './refusal.ts';

const PREFIX = 'facteur.proompteng.ai/';

export type Verdict = 'approved' | 'rejected';

/** Who decides an approval and how, as the annotations of its suspend template say. */
export interface ApprovalRules {
  /** Role ids, commands of the role map, and `user:ID`. Empty: who may run the command. */
  readonly approvers: readonly string[];
  /** What to ask, or empty. */
  readonly message: string;
  /** Null for no deadline. */
  readonly timeoutSeconds: number | null;
  readonly onTimeout: 'reject' | 'approve' | 'leave';
  readonly selfApproval: boolean;
  /** People who have to approve. One rejection is enough. */
  readonly quorum: number;
  /** Of a rejection. */
  readonly reason: 'required' | 'optional' | 'none';
  /** The channel to ask in; empty: where the run was requested. */
  readonly channel: string;
  /** The invalid annotations, so that nobody can decide from here; empty if all are valid. */
  readonly problem: string;
}

/** An output that whoever approves has to supply. */
export interface ApprovalField {
  readonly name: string;
  readonly description: string;
  /** Null without one. */
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
    // An empty list is no list of everybody who may run the command.
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

/** Reads the annotations of a suspend template. An invalid one means that nobody can decide: guessing could let anybody. */
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

/** `2h`, `1h30m`, `90` (seconds) or `2d`, of an annotation. Undefined for anything else, and for zero. */
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
 * Resolves the names of the rules by the role map. Without any, whoever has a role that may run the command.
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

/** A name that only resembles a known one may be the very name of a command that is not known yet, with other roles. */
function commandOf(command: string, rules: CommandRules): string {
  return rules.incomplete === true ? command.toLowerCase() : ruledName(command, rules);
}

/** Whether nobody may decide in Discord, whoever asks. False while that is unknown. */
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
  /** A bot, or nobody that Discord knows. */
  | 'bot'
  /** The rules name nobody. */
  | 'nobody'
  | 'not_listed'
  /** Requested the run, or one that it retries. */
  | 'starter'
  | 'invalid_rules';

interface Judged {
  readonly rules: ApprovalRules;
  readonly approvers: Approvers;
  /** Who requested the run, and those that it retries. */
  readonly starters: readonly string[];
}

/** Whether this person may decide, by the roles that they have now. */
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
  /** Both buttons set the output and resume the workflow, whose template decides by it. */
  | { readonly kind: 'pair'; readonly field: string; readonly yes: string; readonly no: string }
  | { readonly kind: 'form'; readonly fields: readonly ApprovalField[] }
  /** More than a form in Discord can have. */
  | { readonly kind: 'too_many' };

const YES = new Set(['yes', 'y', 'true', 'approve', 'approved', 'accept', 'ok', 'go']);
const NO = new Set(['no', 'n', 'false', 'reject', 'rejected', 'deny', 'decline', 'stop']);
/** Inputs that one form can have. */
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

/** Limit of a text input, and of what a decision may put into a workflow. */
const MAX_VALUE = 4000;

/** The outputs of an approval: what was given, else the presets. Faults name the fields, never the values. */
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

/** Whether an approval can supply a text at all, and the ledger can hold it. */
export function isSuppliable(value: string): boolean {
  return value.isWellFormed() && value.length <= MAX_VALUE && argoFault(value) === undefined;
}

function missing({ choices }: ApprovalField): string {
  return choices === null ? 'is required' : `is required: one of ${listed(choices)}`;
}

/** As many as a menu in Discord holds. */
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
