/** The process's environment, as `main.ts` hands it over. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Told in a sentence what is wrong with a variable. */
export type Warn = (message: string) => void;

/** A variable's text without blanks around it; empty when it is not set. */
export function text(env: Environment, name: string): string {
  return (env[name] ?? '').trim();
}

/** The parts of a comma-separated variable, in lower case. */
export function list(env: Environment, name: string): readonly string[] {
  return text(env, name)
    .split(',')
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== '');
}

/** One of the known values; the first when the variable is not set, or holds another (which is warned of). */
export function choice<T extends string>(env: Environment, name: string, known: readonly [T, ...T[]], warn: Warn): T {
  const given = text(env, name).toLowerCase();
  const found = known.find((value) => value === given);
  if (found === undefined && given !== '') {
    warn(`${name}: must be one of ${known.join(', ')}; ${known[0]} is used`);
  }
  return found ?? known[0];
}

/** A whole number above zero; `fallback` when the variable is not set, or holds something else (which is warned of). */
export function positive(env: Environment, name: string, fallback: number, warn: Warn): number {
  const given = text(env, name);
  const value = Number(given);
  if (given !== '' && !(Number.isSafeInteger(value) && value > 0)) {
    warn(`${name}: must be a whole number above 0; ${fallback} is used`);
    return fallback;
  }
  return given === '' ? fallback : value;
}
