import { isUtf8 } from 'node:buffer';
import type { FieldFault } from '../../domain/refusal.ts';
import { hasTooManyValues, MAX_VALUES } from '../decode/count-values.ts';

/** Maximum nesting of objects and arrays: people and tools read what `/v1` stores. */
const MAX_DEPTH = 10;
/** Further faults are not worth listing. */
const MAX_FAULTS = 20;

type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly faults: readonly FieldFault[] };

/**
 * Parses a JSON body and rejects what JSON.parse accepts but would cause problems later: duplicate keys (the last one would
 * silently win), deep nesting, NUL and lone surrogates, which PostgreSQL cannot store. Linear in the length of the text.
 */
export function parseStrictJson(bytes: Buffer): ParsedJson {
  if (bytes.length === 0) {
    return refused([{ field: 'body', message: 'is required' }]);
  }
  if (!isUtf8(bytes)) {
    return refused([{ field: 'body', message: 'must be UTF-8' }]);
  }
  if (hasTooManyValues(bytes)) {
    return refused([{ field: 'body', message: `must hold at most ${MAX_VALUES} values` }]);
  }
  const text = bytes.toString('utf8').replace(/^\uFEFF/, '');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refused([{ field: 'body', message: 'is invalid JSON' }]);
  }
  const faults = structureFaults(text);
  const found = faults.length > 0 ? faults : textFaults(value);
  return found.length > 0 ? refused(found) : { ok: true, value };
}

function refused(faults: readonly FieldFault[]): ParsedJson {
  return { ok: false, faults: faults.slice(0, MAX_FAULTS) };
}

/** An object or array around the current position. */
interface Level {
  /** Keys seen so far; absent in an array. */
  readonly keys: Set<string> | undefined;
  /** The current key or index. */
  at: string;
}

/** Strings, and the brackets and commas between them: the rest of valid JSON does not matter here. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],]/g;

/** Duplicate keys and excessive nesting in a text that is known to be valid JSON. */
function structureFaults(text: string): FieldFault[] {
  const faults: FieldFault[] = [];
  const levels: Level[] = [];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') {
      levels.push(levelOf(token));
      if (levels.length > MAX_DEPTH) {
        return [...faults, { field: pathOf(levels), message: `must not nest deeper than ${MAX_DEPTH} levels` }];
      }
    } else if (token === '}' || token === ']') {
      levels.pop();
    } else if (token === ',') {
      advance(levels.at(-1));
    } else if (isKey(text, index + token.length) && isKnown(levels.at(-1), token)) {
      faults.push({ field: pathOf(levels), message: 'is a duplicate key' });
    }
  }
  return faults;
}

function levelOf(bracket: string): Level {
  return bracket === '{' ? { keys: new Set(), at: '' } : { keys: undefined, at: '0' };
}

/** Moves to a key; returns whether its object already had it. */
function isKnown(level: Level | undefined, token: string): boolean {
  if (level?.keys === undefined) {
    return false;
  }
  level.at = JSON.parse(token) as string;
  const isOld = level.keys.has(level.at);
  level.keys.add(level.at);
  return isOld;
}

function advance(level: Level | undefined): void {
  if (level !== undefined && level.keys === undefined) {
    level.at = String(Number(level.at) + 1);
  }
}

/** A string is a key when a colon follows it. */
function isKey(text: string, end: number): boolean {
  let place = end;
  while (' \t\r\n'.includes(text[place] ?? 'x')) {
    place += 1;
  }
  return text[place] === ':';
}

function pathOf(levels: readonly Level[]): string {
  return ['body', ...levels.map(({ at }) => at).filter((at) => at !== '')].join('.').slice(0, 200);
}

/** Texts, including keys, that PostgreSQL cannot store. */
export function textFaults(value: unknown, path = 'body'): FieldFault[] {
  if (typeof value === 'string') {
    const message = textFault(value);
    return message === undefined ? [] : [{ field: path, message }];
  }
  if (typeof value !== 'object' || value === null) {
    return [];
  }
  return Object.entries(value).flatMap(([key, item]) => {
    // Copies of the object would lose such a key.
    const ofKey = key === '__proto__' ? 'must not be __proto__' : textFault(key);
    return [
      ...(ofKey === undefined ? [] : [{ field: `${path} (a key)`, message: ofKey }]),
      ...textFaults(item, `${path}.${key.slice(0, 100)}`),
    ];
  });
}

/** Why PostgreSQL cannot store this text, or undefined. */
export function textFault(text: string): string | undefined {
  if (text.includes('\0')) {
    return 'must not contain NUL';
  }
  return text.isWellFormed() ? undefined : 'must be well-formed Unicode';
}
