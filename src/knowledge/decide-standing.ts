import { FacteurError } from '../base/errors.ts';
import type { Database } from '../clients/postgres/database.ts';
import {
  retireReflections,
  trustReflections,
  type Retirement,
  type StandingChange,
  type StandingDecision,
} from '../ledger/reflection-standing.ts';

/**
 * Trusts reflections on behalf of a person: all of them, or none.
 *
 * @throws FacteurError `reflection.unknown`, or `reflection.distrusted_source` if one of their runs received a reflection that is
 * not trusted: a reflection is trusted no more than those that its run received
 */
export async function trust(
  db: Pick<Database, 'transaction'>,
  decision: StandingDecision,
): Promise<readonly StandingChange[]> {
  const { changes, blocked } = await trustReflections(db, once(decision));
  requireAll(decision, changes);
  if (blocked.length > 0) {
    const sources = blocked.map(
      ({ reflectionId, distrusted }) => `${reflectionId} descends from ${distrusted.join(', ')}`,
    );
    const what = `trust these first, or together with it: ${sources.join('; ')}`;
    throw new FacteurError('reflection.distrusted_source', what, { retryable: false });
  }
  return changes;
}

/**
 * Retires reflections on behalf of a person: all of them, or none. Their descendants are retired or lose their trust.
 *
 * @throws FacteurError `reflection.unknown`
 */
export async function retire(
  db: Database,
  decision: StandingDecision & { readonly withDescendants: boolean },
): Promise<Retirement> {
  const retirement = await retireReflections(db, once(decision));
  requireAll(decision, retirement.changes);
  return retirement;
}

function once<T extends StandingDecision>(decision: T): T {
  return { ...decision, reflectionIds: [...new Set(decision.reflectionIds)] };
}

function requireAll({ reflectionIds }: StandingDecision, changes: readonly StandingChange[]): void {
  const unknown = reflectionIds.filter((id) => !changes.some(({ reflectionId }) => reflectionId === id));
  if (unknown.length > 0) {
    throw new FacteurError('reflection.unknown', `no such reflection: ${unknown.join(', ')}`, { retryable: false });
  }
}
