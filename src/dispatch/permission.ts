import type { Queryable } from '../clients/postgres/database.ts';
import type { Command } from '../domain/command.ts';
import { Refusal } from '../domain/refusal.ts';
import { recordRefusal } from '../ledger/refusals.ts';
import { authorise } from './authorise.ts';

export interface PermissionDeps {
  readonly db: Queryable;
  /** Command in lower case -> role ids that may run it. */
  readonly roleMap: Readonly<Record<string, readonly string[]>>;
}

/**
 * Passes when the role map lets this person run this command; else the refusal is in the ledger before anybody hears of it.
 *
 * @throws Refusal `forbidden`
 * @throws DatabaseError when the refusal could not be recorded
 */
export async function requirePermission(command: Command, { db, roleMap }: PermissionDeps): Promise<void> {
  if (authorise(roleMap, command.name, command.principal).allowed) {
    return;
  }
  const reason = `the command ${command.name} needs a role that ${command.principal.userId || 'the sender'} does not have`;
  await recordRefusal(db, command, reason);
  throw new Refusal('forbidden', 'none of your roles may run this command');
}
