/** A message has no room for more. */
export const MAX_RESULTS = 4;

/** One thing that came of a run, bounded and without credentials. */
export interface RunResult {
  readonly name: string;
  readonly value: string;
}
