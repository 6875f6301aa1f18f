import { inspect } from 'node:util';

/**
 * A value that must not be printed: every conversion to text gives `***`, so a stray log line cannot leak it. Only `reveal()`
 * returns the value, which is easy to find in review.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The plain value; pass it straight to the library that needs it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [inspect.custom](): string {
    return '***';
  }
}

/**
 * The URL with its password (and any `password`-like query value) as `***`; text that is not a URL becomes `***`
 * entirely.
 */
export function redactUrl(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null) {
    return '***';
  }
  if (parsed.password !== '') {
    parsed.password = '***';
  }
  for (const name of parsed.searchParams.keys()) {
    if (/pass|token|secret|key/i.test(name)) {
      parsed.searchParams.set(name, '***');
    }
  }
  return parsed.href;
}
