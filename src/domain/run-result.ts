/** A message has no room for more. */
export const MAX_RESULTS = 4;

/** A result of a run, bounded and without credentials. */
export interface RunResult {
  readonly name: string;
  readonly value: string;
}
