import { UsageError } from './program.ts';

/**
 * `--option k=v`, as often as wanted, for commander. A later value of the same name wins; values may hold `=` and may be
 * empty.
 */
export function collectPair(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) {
    throw new UsageError(`--option: write name=value, not ${JSON.stringify(text)}`);
  }
  const pairs = Object.assign(Object.create(null) as Record<string, string>, before);
  pairs[text.slice(0, at)] = text.slice(at + 1);
  return pairs;
}

/** `a,b` as a list without blanks. */
export function listItems(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** A whole number of at least 1 from an option's text. */
export function positive(text: string, option: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) {
    throw new UsageError(`${option}: must be a whole number of at least 1`);
  }
  return Number(text);
}
