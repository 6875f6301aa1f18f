/** The origin of a reflection according to the ledger. It excludes what its workflow says about itself. */
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

/** Whose reflections are trusted without a person's decision. */
export interface TrustRules {
  readonly trustedAuthors: readonly string[];
  readonly trustedRepositories: readonly string[];
}

/**
 * Why a reflection may be trusted without a person's decision; undefined if it must wait for one. The repository counts only for
 * Codex tasks: in a command it is an option, which anybody who may run the command can choose. A reflection is trusted no more
 * than those that its run received.
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

/** GitHub names are case-insensitive; the other names have one case or are digits. */
function isSame(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
