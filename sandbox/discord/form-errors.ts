import type { JsonObject } from '../cluster/objects.ts';
import { invalidForm } from './discord-failure.ts';

type Path = readonly (string | number)[];

interface Found {
  readonly path: Path;
  readonly code: string;
  readonly message: string;
}

/** Collects the errors of a request body, field by field, in Discord's form: all at once, as a tree. */
export class FormErrors {
  readonly #found: Found[] = [];

  add(path: Path, code: string, message: string): void {
    this.#found.push({ path, code, message });
  }

  required(path: Path): void {
    this.add(path, 'BASE_TYPE_REQUIRED', 'This field is required');
  }

  /** Text or list with a maximum (and minimum) length. */
  length(path: Path, value: string | readonly unknown[], max: number, min = 0): void {
    // Discord counts characters, not UTF-16 units.
    const length = typeof value === 'string' ? [...value].length : value.length;
    if (length <= max && length >= min) {
      return;
    }
    if (min > 0) {
      this.add(path, 'BASE_TYPE_BAD_LENGTH', `Must be between ${min} and ${max} in length.`);
    } else {
      this.add(path, 'BASE_TYPE_MAX_LENGTH', `Must be ${max} or fewer in length.`);
    }
  }

  /**
   * The field as text, or undefined if it is absent or null. A wrong type is an error and counts as absent.
   *
   * @param limits lengths in characters; `min` above 0 with `required` means that it must be present
   */
  text(
    object: JsonObject,
    path: Path,
    limits: { readonly max: number; readonly min?: number; readonly required?: boolean },
  ): string | undefined {
    const value = object[path.at(-1) ?? ''];
    if (value === undefined || value === null) {
      if (limits.required === true) {
        this.required(path);
      }
      return undefined;
    }
    if (typeof value !== 'string') {
      this.add(path, 'STRING_TYPE_CONVERT', 'Could not interpret as string.');
      return undefined;
    }
    this.length(path, value, limits.max, limits.min);
    return value;
  }

  /** Throws `50035 Invalid Form Body` when anything was found. */
  throwIfAny(): void {
    if (this.#found.length > 0) {
      throw invalidForm(this.#tree());
    }
  }

  #tree(): JsonObject {
    const root: Record<string, unknown> = {};
    for (const { path, code, message } of this.#found) {
      let node = root;
      for (const key of path) {
        node[key] ??= {};
        node = node[key] as Record<string, unknown>;
      }
      const list = (node['_errors'] ??= []) as unknown[];
      list.push({ code, message });
    }
    return root;
  }
}

/** The items of a list field; anything else counts as empty and, unless absent or null, as an error. */
export function listField(errors: FormErrors, object: JsonObject, path: Path): readonly unknown[] {
  const value = object[path.at(-1) ?? ''];
  if (value === undefined || value === null) {
    return [];
  }
  if (!Array.isArray(value)) {
    errors.add(path, 'LIST_TYPE_CONVERT', 'Only iterables may be used in a ListType');
    return [];
  }
  return value as unknown[];
}

/** A whole number within these bounds. */
export function isIntegerWithin(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}
