import { isRecord } from '../base/json.ts';
import type { FieldFault } from './refusal.ts';
import { MAX_RESULTS } from './run-result.ts';
import { SNOWFLAKE } from './snowflake.ts';

const PREFIX = 'facteur.proompteng.ai/';

/** A type of number that an option requires. */
export interface NumberType {
  readonly type: 'integer' | 'number';
  readonly min?: number;
  readonly max?: number;
}

/** The annotations that define a command, read but not yet checked against the rest of the template. */
export interface CommandAnnotations {
  /** `deploy`, or the path of a subcommand: `deploy api`. */
  readonly command: string;
  readonly description: string;
  /** Role ids, and names of the role map; undefined without the annotation. */
  readonly roles: readonly string[] | undefined;
  readonly ephemeral: boolean;
  readonly quiet: boolean;
  readonly confirm: boolean;
  readonly notify: 'author' | 'role' | undefined;
  /** The parameter whose value describes a run; empty if there is none. */
  readonly titleOption: string;
  /** Names of global outputs. */
  readonly results: readonly string[];
  readonly hide: readonly string[];
  readonly long: readonly string[];
  readonly types: ReadonlyMap<string, NumberType>;
  readonly guilds: readonly string[];
}

/** Whether a template defines a command. */
export function isCommandTemplate(template: unknown): boolean {
  return annotation(template, `${PREFIX}command`) !== undefined;
}

/** The value of a facteur annotation, such as `command`; undefined if absent. */
function facteurAnnotation(template: unknown, name: string): string | undefined {
  return annotation(template, `${PREFIX}${name}`);
}

/** @param faults receives the faults */
export function readAnnotations(template: unknown, faults: FieldFault[]): CommandAnnotations {
  const fault = (name: string, message: string): void => {
    faults.push({ field: `${PREFIX}${name}`, message });
  };
  const text = (name: string): string => (facteurAnnotation(template, name) ?? '').trim();
  const roles = facteurAnnotation(template, 'roles');
  const guilds = list(text('guilds'));
  const flag = (name: string): boolean => readFlag(name, text(name), fault);
  if (guilds.some((id) => !SNOWFLAKE.test(id))) {
    fault('guilds', 'must be ids of Discord servers, separated by commas');
  }
  return {
    command: readPath(text('command'), fault),
    description:
      text('description') ||
      (annotation(template, 'workflows.argoproj.io/description') ?? '') ||
      (annotation(template, 'workflows.argoproj.io/title') ?? ''),
    roles: roles === undefined ? undefined : list(roles),
    ephemeral: flag('ephemeral'),
    quiet: flag('quiet'),
    confirm: flag('confirm'),
    notify: readNotify(text('notify'), fault),
    titleOption: text('title-option'),
    results: readResults(text('result'), fault),
    hide: list(text('hide')),
    long: list(text('long')),
    types: readTypes(text('type'), fault),
    guilds,
  };
}

/** Roles that are ids of Discord servers, which admit nobody. */
export function serversAmongRoles(
  { roles = [], guilds }: CommandAnnotations,
  guildId: string | undefined,
): readonly string[] {
  return roles.filter((role) => role === guildId || guilds.includes(role));
}

export function isDiscordId(text: string): boolean {
  return SNOWFLAKE.test(text);
}

function annotation(template: unknown, name: string): string | undefined {
  const metadata = isRecord(template) ? template['metadata'] : undefined;
  const annotations = isRecord(metadata) ? metadata['annotations'] : undefined;
  const value = isRecord(annotations) && Object.hasOwn(annotations, name) ? annotations[name] : undefined;
  return typeof value === 'string' ? value : undefined;
}

function list(text: string): readonly string[] {
  return [...new Set(text.split(',').map((item) => item.trim()))].filter((item) => item !== '');
}

type Report = (name: string, message: string) => void;

function readFlag(name: string, value: string, fault: Report): boolean {
  if (!['', 'true', 'false'].includes(value)) {
    fault(name, 'must be "true" or "false"');
  }
  return value === 'true';
}

function readNotify(value: string, fault: Report): CommandAnnotations['notify'] {
  if (value === 'author' || value === 'role') {
    return value;
  }
  if (value !== '' && value !== 'none') {
    fault('notify', 'must be "author", "role" or "none"');
  }
  return undefined;
}

const OUTPUT_NAME = /^[-\w]{1,63}$/;

function readResults(value: string, fault: Report): readonly string[] {
  const names = list(value);
  if (names.length > MAX_RESULTS || !names.every((name) => OUTPUT_NAME.test(name))) {
    fault('result', `must be up to ${MAX_RESULTS} names of global outputs, separated by commas`);
  }
  return names;
}

const COMMAND_NAME = /^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$/u;
const MAX_DEPTH = 3;
/** A form's id contains the path, and has at most 100 characters. */
const MAX_PATH = 80;

function readPath(text: string, fault: Report): string {
  const parts = text.replace(/^\//, '').split(/\s+/);
  const valid = parts.every((part) => COMMAND_NAME.test(part) && part === part.toLowerCase() && part !== '__proto__');
  const path = parts.join(' ');
  if (!valid || parts.length > MAX_DEPTH || [...path].length > MAX_PATH) {
    fault(
      'command',
      `must be up to ${MAX_DEPTH} names separated by spaces, each of 1 to 32 lower-case letters, digits, dashes or underscores, and ${MAX_PATH} characters in all`,
    );
  }
  return path;
}

function readTypes(text: string, fault: Report): ReadonlyMap<string, NumberType> {
  if (text === '') {
    return new Map();
  }
  const types = parseObject(text);
  const entries = Object.entries(types ?? {}).map(([name, value]) => [name, readType(value)] as const);
  const valid = entries.filter((entry): entry is [string, NumberType] => entry[1] !== undefined);
  if (types === undefined || valid.length < entries.length) {
    fault('type', 'must be JSON such as {"replicas":"integer"} or {"replicas":{"type":"integer","min":1,"max":9}}');
  }
  return new Map(valid);
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readType(value: unknown): NumberType | undefined {
  const { type, min, max, ...rest } = isRecord(value) ? value : { type: value };
  if ((type !== 'integer' && type !== 'number') || Object.keys(rest).length > 0) {
    return undefined;
  }
  const bounds = { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
  return areBounds(type, bounds) ? { type, ...bounds } : undefined;
}

/** Discord accepts no number beyond 2^53. */
function areBounds(
  type: NumberType['type'],
  bounds: Readonly<Record<string, unknown>>,
): bounds is Pick<NumberType, 'min' | 'max'> {
  const numbers = Object.values(bounds).filter((bound) => typeof bound === 'number');
  const fits = (bound: number): boolean =>
    type === 'integer' ? Number.isSafeInteger(bound) : Math.abs(bound) <= Number.MAX_SAFE_INTEGER;
  const [low = 0, high = low] = numbers;
  return numbers.length === Object.keys(bounds).length && numbers.every(fits) && low <= high;
}
