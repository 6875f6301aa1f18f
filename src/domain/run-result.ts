/** One thing that came of a run, bounded and without credentials. */
export interface RunResult {
  readonly name: string;
  readonly value: string;
}
