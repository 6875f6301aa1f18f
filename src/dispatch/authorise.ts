import type { Principal } from '../domain/command.ts';

/** Whether a principal may run a command, and which roles would have let them. */
export interface Permission {
  readonly allowed: boolean;
  /** Empty when anybody may. */
  readonly allowedRoles: readonly string[];
}

/**
 * The role map's answer: a command without roles is open to anybody; else one of its roles is needed. The command's name
 * is compared without case, since `PLAN` must not slip past a rule for `plan`.
 *
 * @param roleMap command in lower case -> role ids
 */
export function authorise(
  roleMap: Readonly<Record<string, readonly string[]>>,
  command: string,
  principal: Principal,
): Permission {
  const key = command.toLowerCase();
  const allowedRoles = Object.hasOwn(roleMap, key) ? (roleMap[key] ?? []) : [];
  const allowed = allowedRoles.length === 0 || allowedRoles.some((role) => principal.roles.includes(role));
  return { allowed, allowedRoles };
}
