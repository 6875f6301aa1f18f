/** What a rule found: the path below the command, and the rest of the sentence that begins with that path. */
export interface RuleFault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}
