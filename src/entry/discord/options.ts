import { isRecord } from '../../base/json.ts';
import { checkText } from '../decode/text.ts';

/** The option that somebody is typing into, and what stands there so far. */
export interface FocusedOption {
  readonly name: string;
  readonly typed: string;
}

export interface ReadOptions {
  /** Without a prototype: any text may be a name. */
  readonly options: Record<string, string>;
  readonly focused: FocusedOption | undefined;
}

/** A group of subcommands, a subcommand, an option: Discord nests no deeper. */
const MAX_DEPTH = 3;

/**
 * The options of a command as text: those of subcommands under dotted names, as `group.subcommand.option`; numbers,
 * booleans and ids as they are written.
 *
 * @throws Refusal `invalid_payload` for text that cannot be kept
 */
export function readOptions(value: unknown): ReadOptions {
  const found: { options: Record<string, string>; focused: FocusedOption | undefined } = {
    options: Object.create(null) as Record<string, string>,
    focused: undefined,
  };
  collect(value, [], found);
  return found;
}

function collect(
  list: unknown,
  path: readonly string[],
  found: { options: Record<string, string>; focused: FocusedOption | undefined },
): void {
  for (const option of Array.isArray(list) ? (list as unknown[]) : []) {
    if (!isRecord(option) || typeof option['name'] !== 'string') {
      continue;
    }
    checkText(option['name'], 'options');
    const names = [...path, option['name']];
    if (names.length < MAX_DEPTH) {
      collect(option['options'], names, found);
    }
    const value = asText(option['value']);
    if (value !== undefined) {
      const name = names.join('.');
      checkText(value, `options.${name}`);
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
