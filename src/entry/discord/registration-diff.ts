import type { APIApplicationCommand } from 'discord-api-types/v10';
import { isRecord } from '../../base/json.ts';
import { CHAT_INPUT, type Registration } from './registration.ts';

/** What of a registered command matters here. */
export type Registered = Pick<APIApplicationCommand, 'id' | 'name' | 'type'>;

/** One command on one side or both, and what it would take to have it as it should be. */
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
  /** Registered by somebody else, or by facteur when it was configured otherwise. */
  | { readonly kind: 'foreign'; readonly name: string; readonly id: string };

/**
 * Compares what is wanted with what is registered. Of a registered command only what facteur writes is looked at: Discord
 * adds defaults, and permissions or translations are whoever's who made them. Commands of other menus than the slash are
 * nobody's business here.
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
  return changes.length === 0 ? { kind: 'same', name } : { kind: 'change', name, wanted, id: registered.id, changes };
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

/** Options by their names, and then their order, which is the order in which Discord offers them. */
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

/** A value as text, with what means nothing to Discord as nothing: no choices, `required: false`, empty translations. */
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
