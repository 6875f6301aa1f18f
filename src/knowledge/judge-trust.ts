/** Where a reflection comes from, according to the ledger. What its workflow says about itself is not in here. */
export interface Provenance {
  /** The state of the run that wrote it. */
  readonly runState: string;
  readonly kind: string;
  readonly repository: string;
  /** `github:LOGIN`, `discord:ID` or `api:NAME`; empty if unknown. */
  readonly askedBy: string;
  /** The states of the reflections that its run received. */
  readonly inherited: readonly string[];
}

/** Whose runs teach without a person's decision. */
export interface TrustRules {
  readonly trustedAuthors: readonly string[];
  readonly trustedRepositories: readonly string[];
}

/**
 * Why a reflection may be trusted without a person's decision; undefined if it must wait for one. A repository counts
 * for Codex tasks only: in a command it is an option, which anybody who may run the command chooses. Whoever was
 * advised is trusted no more than the advice.
 */
export function reasonToTrust(from: Provenance, rules: TrustRules): string | undefined {
  if (from.runState !== 'succeeded' || from.inherited.some((state) => state !== 'trusted')) {
    return undefined;
  }
  if (from.askedBy !== '' && rules.trustedAuthors.some((author) => isSame(author, from.askedBy))) {
    return `its run succeeded and was requested by ${from.askedBy}`;
  }
  const isTrustedRepository = rules.trustedRepositories.some((name) => isSame(name, from.repository));
  return from.kind === 'codex' && from.repository !== '' && isTrustedRepository
    ? `its run succeeded in the repository ${from.repository}`
    : undefined;
}

/** GitHub's names differ in case only by how they are written; the other names have one case or are digits. */
function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
