import type * as z from 'zod';
import type { Fault, Place } from './fault.ts';
import type { Findings } from './reader.ts';
import { FILE } from './schema.ts';
import type { FileConfig } from './schema.ts';

/** The values with their defaults, or the errors in them. */
interface Validated {
  readonly values: FileConfig | undefined;
  readonly faults: readonly Fault[];
}

/** Validates the values against the schema. Errors that the reader already reported are not repeated. */
export function validate(tree: unknown, findings: Findings): Validated {
  // Compiling a validator for one use costs more than it saves.
  const result = FILE.safeParse(tree, { jitless: true });
  if (result.success) {
    return { values: result.data, faults: [] };
  }
  const faults = result.error.issues
    .map(innermost)
    .map(({ path, message }) => ({ ...placeOf(path, findings), key: pathText(path), message: sentence(path, message) }))
    .filter(({ key }) => !isBroken(key, findings));
  return { values: undefined, faults };
}

/** The position of a path, or of its nearest ancestor. */
export function placeOf(path: readonly PropertyKey[], findings: Pick<Findings, 'places'>): Place {
  for (let length = path.length; length > 0; length -= 1) {
    const place = findings.places.get(pathText(path.slice(0, length)));
    if (place !== undefined) {
      return place;
    }
  }
  return {};
}

/** `commands.plan.options[0].name` */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') {
      return `${text}[${part}]`;
    }
    return text === '' ? String(part) : `${text}.${String(part)}`;
  }, '');
}

function sentence(path: readonly PropertyKey[], message: string): string {
  return `${pathText(path)} ${message}`;
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** The inner issue: a union or a map's key only reports that something inside is invalid. */
function innermost(issue: z.core.$ZodIssue): Issue {
  const inner = insideOf(issue)
    .map(innermost)
    .toSorted((a, b) => b.path.length - a.path.length)[0];
  return inner === undefined ? issue : { path: [...issue.path, ...inner.path], message: inner.message };
}

function insideOf(issue: z.core.$ZodIssue): readonly z.core.$ZodIssue[] {
  if (issue.code === 'invalid_union') {
    return issue.errors.flat();
  }
  return issue.code === 'invalid_key' ? issue.issues : [];
}

function isBroken(key: string, findings: Findings): boolean {
  return [...findings.broken].some(
    (broken) => key === broken || key.startsWith(`${broken}.`) || key.startsWith(`${broken}[`),
  );
}
