import type { APIApplicationCommand } from 'discord-api-types/v10';
import { isRecord } from '../../base/json.ts';
import { CHAT_INPUT, type Registration } from './registration.ts';

/** A command that is wanted, registered or both, and how to reconcile it. */
export type Difference =
  | { readonly kind: 'create'; readonly name: string; readonly wanted: Registration }
  | {
      readonly kind: 'change';
      readonly name: string;
      readonly wanted: Registration;
      readonly id: string;
      /** `options.project.required: (nothing) -> true`, one line each. */
      readonly changes: readonly string[];
    }
  | { readonly kind: 'same'; readonly name: string }
  /** Registered by others, or by facteur with another configuration. */
  | { readonly kind: 'foreign'; readonly name: string; readonly id: string };

/**
 * Compares the configured commands with the registered ones. Only fields that facteur writes are compared: Discord adds defaults,
 * and permissions or translations belong to those who set them. Commands outside the slash menu are ignored.
 */
export function diffRegistrations(
  wanted: readonly Registration[],
  registered: readonly APIApplicationCommand[],
): readonly Difference[] {
  const slash = new Map(
    registered.filter(({ type }) => (type as number) === CHAT_INPUT).map((command) => [command.name, command]),
  );
  const own = wanted.map((registration) => compare(registration, slash.get(registration.name)));
  const ours = new Set(wanted.map(({ name }) => name));
  const others = [...slash.values()].filter(({ name }) => !ours.has(name));
  return [...own, ...others.map(({ id, name }) => ({ kind: 'foreign', id, name }) as const)];
}

function compare(wanted: Registration, registered: APIApplicationCommand | undefined): Difference {
  const { name } = wanted;
  if (registered === undefined) {
    return { kind: 'create', name, wanted };
  }
  const { description, options = [] } = registered;
  const changes = changesOf({ description: wanted.description, options: wanted.options }, { description, options }, '');
  return changes.length === 0
    ? { kind: 'same', name }
    : { kind: 'change', name, wanted: withTranslations(wanted, registered), id: registered.id, changes };
}

const TRANSLATIONS = ['name_localizations', 'description_localizations'] as const;

/** Adds the translations that others set, matching options and choices by name: an edit replaces the options as a whole. */
function withTranslations<T extends object>(wanted: T, registered: object): T {
  const [now, then] = [wanted as Json, registered as Json];
  const kept = TRANSLATIONS.filter((key) => isRecord(then[key])).map((key) => [key, then[key]] as const);
  const lists = (['options', 'choices'] as const)
    .filter((key) => now[key] !== undefined)
    .map((key) => {
      const before = new Map(list(then[key]).map((one) => [one['name'], one]));
      return [key, list(now[key]).map((one) => withTranslations(one, before.get(one['name']) ?? {}))] as const;
    });
  return { ...wanted, ...Object.fromEntries<unknown>([...kept, ...lists]) };
}

const KEYS = [
  'type',
  'description',
  'required',
  'choices',
  'min_value',
  'max_value',
  'min_length',
  'max_length',
  'autocomplete',
] as const;

type Json = Readonly<Record<string, unknown>>;

function changesOf(wanted: object, registered: object, path: string): string[] {
  const [now, then] = [wanted as Json, registered as Json];
  const own = KEYS.flatMap((key) => {
    const [after, before] = [shown(key, now[key]), shown(key, then[key])];
    return after === before ? [] : [`${path}${key}: ${before} -> ${after}`];
  });
  return [...own, ...optionChanges(list(now['options']), list(then['options']), path)];
}

/** Compares options by name, and then their order, in which Discord offers them. */
function optionChanges(wanted: readonly Json[], registered: readonly Json[], path: string): string[] {
  const before = new Map(registered.map((option) => [option['name'], option]));
  const after = new Map(wanted.map((option) => [option['name'], option]));
  const label = (option: Json): string => `${path}options.${String(option['name'])}`;
  const changes = [
    ...wanted.flatMap((option) => {
      const old = before.get(option['name']);
      return old === undefined ? [`${label(option)}: new`] : changesOf(option, old, `${label(option)}.`);
    }),
    ...registered.filter((option) => !after.has(option['name'])).map((option) => `${label(option)}: gone`),
  ];
  const [from, to] = [names(registered), names(wanted)];
  return changes.length === 0 && from !== to ? [`${path}options: order ${from} -> ${to}`] : changes;
}

function names(options: readonly Json[]): string {
  return options.map(({ name }) => String(name)).join(', ');
}

/**
 * A value as text, without values that Discord treats as missing: no choices, `required: false`, empty translations.
 */
function shown(key: string, value: unknown): string {
  if (key === 'choices') {
    const choices = list(value).map(({ name, value: chosen }) => `${String(name)}=${String(chosen)}`);
    return choices.length === 0 ? '(nothing)' : choices.join(', ');
  }
  return value === undefined || value === null || value === false ? '(nothing)' : JSON.stringify(value);
}

function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? (value as unknown[]).filter(isRecord) : [];
}

/** Discord's limit of slash commands in one scope: a server, or all of them. */
const MAX_COMMANDS = 100;

export type Step = Exclude<Difference, { kind: 'same' }>;

/** The steps of a sync, and the commands for which Discord has no room. */
export interface SyncPlan {
  readonly steps: readonly Step[];
  readonly noRoom: readonly Step[];
}

/**
 * Plans the steps in an order in which a failure leaves people with the commands they had: changes first, then new commands, then
 * deletions. At the limit, one unwanted command is deleted just before each new one, because Discord accepts only so many new
 * ones a day, and may refuse the next.
 *
 * @param mayDelete whether a command that is not wanted may be deleted
 */
export function planSync(
  differences: readonly Difference[],
  registered: number,
  mayDelete: (id: string) => boolean,
): SyncPlan {
  const changes = differences.filter((one) => one.kind === 'change');
  const creations = differences.filter((one) => one.kind === 'create');
  const unwanted = differences.filter((one) => one.kind === 'foreign' && mayDelete(one.id)) as Step[];
  const room = Math.max(0, MAX_COMMANDS - registered);
  const pressed = creations.slice(room, room + unwanted.length);
  return {
    steps: [
      ...changes,
      ...creations.slice(0, room),
      ...pressed.flatMap((creation, index) => [...unwanted.slice(index, index + 1), creation]),
      ...unwanted.slice(pressed.length),
    ],
    noRoom: creations.slice(room + unwanted.length),
  };
}
