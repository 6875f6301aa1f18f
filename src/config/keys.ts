import * as z from 'zod';
import { FILE } from './schema.ts';

type Schema = z.core.$ZodType;

/** One key that may be configured: a single value, a list, or a map taken as a whole. */
export interface KeyInfo {
  /** Dotted: `codex_listener.sasl.username`. */
  readonly key: string;
  /** `FACTEUR_CODEX_LISTENER_SASL_USERNAME`. */
  readonly variable: string;
  readonly schema: Schema;
  /** The default as written in the file; undefined without one. */
  readonly fallback: unknown;
  readonly about: string;
  /** `whole`: shown as `***`; `url`: shown without its password; `no`: shown unchanged. */
  readonly secret: 'no' | 'whole' | 'url';
}

/** Every key of the file, in its order. */
export function listKeys(): readonly KeyInfo[] {
  return keysBelow(FILE, '');
}

/** The variable of a key: `a.b_c` is `FACTEUR_A_B_C`. */
export function variableOf(key: string): string {
  return `FACTEUR_${key.toUpperCase().replaceAll('.', '_')}`;
}

/** The schema of the written value, without its optionality, defaults and conversions. */
export function peel(schema: Schema): Schema {
  let inner = schema;
  for (let next: Schema | undefined = schema; next !== undefined; next = wrapped(next)) {
    inner = next;
  }
  return inner;
}

function keysBelow(schema: Schema, prefix: string): readonly KeyInfo[] {
  const group = peel(schema);
  if (!(group instanceof z.ZodObject)) {
    return [describe(prefix, schema)];
  }
  return Object.entries(group.shape as Record<string, Schema>).flatMap(([name, inner]) =>
    keysBelow(inner, prefix === '' ? name : `${prefix}.${name}`),
  );
}

function describe(key: string, schema: Schema): KeyInfo {
  const marks = marksOf(schema);
  const hidden = marks.writeOnly === true ? 'whole' : 'no';
  return {
    key,
    variable: variableOf(key),
    schema,
    fallback: fallbackOf(schema),
    about: marks.description ?? '',
    secret: marks.format === 'uri' || marks.format === 'dsn' ? 'url' : hidden,
  };
}

interface Marks {
  readonly writeOnly?: unknown;
  readonly format?: unknown;
  readonly description?: string | undefined;
}

/** The metadata of the schema (from `meta` and `describe`), of the schemas that it wraps, and of a list's items. */
function marksOf(schema: Schema): Marks {
  const own: Marks = z.globalRegistry.get(schema) ?? {};
  const inner = wrapped(schema) ?? (schema instanceof z.ZodArray ? schema.element : undefined);
  return inner === undefined ? own : { ...marksOf(inner), ...own };
}

function fallbackOf(schema: Schema): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return schema.def.defaultValue;
  }
  const inner = wrapped(schema);
  return inner === undefined ? undefined : fallbackOf(inner);
}

function wrapped(schema: Schema): Schema | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return schema.def.innerType;
  }
  if (schema instanceof z.ZodLazy) {
    return schema._zod.innerType;
  }
  return schema instanceof z.ZodPipe ? schema.def.in : undefined;
}
