import { Option } from 'commander';
import { UsageError } from './program.ts';

/** A repeatable option such as `--option k=v`. The last value of a name wins; values may contain `=` and may be empty. */
export function pairsOption(flag: string, description: string): Option {
  return new Option(`${flag} <name=value>`, `${description}; repeatable`).argParser(
    (text: string, before: Readonly<Record<string, string>> | undefined): Record<string, string> => {
      const at = text.indexOf('=');
      if (at < 1) {
        throw new UsageError(`${flag}: must be name=value, not ${JSON.stringify(text)}`);
      }
      const pairs = Object.assign(Object.create(null) as Record<string, string>, before);
      pairs[text.slice(0, at)] = text.slice(at + 1);
      return pairs;
    },
  );
}

/** An option whose value is a comma-separated list of these words, validated by `read`. */
export function wordsOption(
  flags: string,
  description: string,
  { words, read }: { readonly words: readonly string[]; readonly read: (text: string) => unknown },
): Option {
  return new Option(flags, description).choices(words).argParser(read);
}

/** `a,b` as a list without blanks. */
export function listItems(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Reads a whole number of at least 1 from an option's text. */
export function positive(option: string, most = 9_999_999): (text: string) => number {
  return (text) => {
    if (!/^[1-9]\d*$/.test(text)) {
      throw new UsageError(`${option}: must be a whole number of at least 1`);
    }
    if (Number(text) > most) {
      throw new UsageError(`${option}: must be at most ${most}`);
    }
    return Number(text);
  };
}

/** Applies `read` to each value of an argument such as `<ids...>`. */
export function each(read: (text: string) => string): (text: string, before?: readonly string[]) => readonly string[] {
  return (text, before = []) => [...before, read(text)];
}
