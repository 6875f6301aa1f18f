import { isRecord } from '../../base/json.ts';
import { MAX_LONG_LENGTH } from '../decode/bounds.ts';
import { checkText } from '../decode/text.ts';

/** The option that the user is typing into, and the text so far. */
export interface FocusedOption {
  readonly name: string;
  readonly typed: string;
}

interface ReadOptions {
  /** The chosen subcommand, below its group if it has one. */
  readonly path: readonly string[];
  /** Without a prototype: any text may be a name. */
  readonly options: Record<string, string>;
  readonly focused: FocusedOption | undefined;
}

/** A group of subcommands, a subcommand, an option: Discord nests no deeper. */
const MAX_DEPTH = 3;
const SUBCOMMANDS: ReadonlySet<unknown> = new Set([1, 2]);

/**
 * The options of a command as text: those of subcommands under dotted names, as `group.subcommand.option`; numbers,
 * booleans and ids unchanged.
 *
 * @throws Refusal `invalid_payload` for text that cannot be stored
 */
export function readOptions(value: unknown): ReadOptions {
  const found: Found = {
    path: [],
    options: Object.create(null) as Record<string, string>,
    focused: undefined,
  };
  collect(value, [], found);
  return found;
}

type Found = { -readonly [K in keyof ReadOptions]: ReadOptions[K] };

function collect(list: unknown, path: readonly string[], found: Found): void {
  for (const option of Array.isArray(list) ? (list as unknown[]) : []) {
    if (!isRecord(option) || typeof option['name'] !== 'string') {
      continue;
    }
    checkText(option['name'], 'options');
    const names = [...path, option['name']];
    if (SUBCOMMANDS.has(option['type'])) {
      found.path = names;
    }
    if (names.length < MAX_DEPTH) {
      collect(option['options'], names, found);
    }
    const value = asText(option['value']);
    if (value !== undefined) {
      const name = names.join('.');
      checkText(name, 'options');
      checkText(value, `options.${name}`, MAX_LONG_LENGTH);
      found.options[name] = value;
      found.focused = option['focused'] === true ? { name, typed: value } : found.focused;
    }
  }
}

function asText(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}
