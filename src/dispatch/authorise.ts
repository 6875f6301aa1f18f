import type { Principal } from '../domain/command.ts';
import { mappedRoles, ruledName, type CommandRules } from '../domain/command-rules.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import { Refusal } from '../domain/refusal.ts';
import { recordRefusal, type RefusedRequest } from '../ledger/unprocessed.ts';

/** Whether a principal may run a command, and which roles would allow it. */
interface Permission {
  readonly allowed: boolean;
  /** Empty if anybody may. */
  readonly allowedRoles: readonly string[];
}

/** Applies the role map: anybody may run a command without roles; otherwise one of its roles is required. */
export function authorise(rules: CommandRules, command: string, principal: Principal): Permission {
  const allowedRoles = mappedRoles(rules.roleMap, ruledName(command, rules));
  const allowed = allowedRoles.length === 0 || allowedRoles.some((role) => principal.roles.includes(role));
  return { allowed, allowedRoles };
}

/** The command to judge, and to record if it is refused. */
interface AskedCommand extends RefusedRequest {
  readonly principal: Principal;
}

interface PermissionDeps {
  readonly db: Queryable;
  readonly rules: CommandRules;
}

/**
 * Passes if the role map allows this person to run this command; otherwise the refusal is recorded before it is thrown.
 *
 * @throws Refusal `forbidden`
 * @throws DatabaseError when the refusal could not be recorded
 */
export async function requirePermission(command: AskedCommand, { db, rules }: PermissionDeps): Promise<void> {
  const { allowed, allowedRoles } = authorise(rules, command.name, command.principal);
  if (allowed) {
    return;
  }
  const reason = `the command ${command.name} requires a role that ${command.principal.userId || 'the sender'} does not have`;
  await recordRefusal(db, command, reason);
  throw new Refusal('forbidden', 'none of your roles may run this command', { roles: allowedRoles });
}
