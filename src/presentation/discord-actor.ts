import type { Principal } from '../domain/command.ts';
import { inlineCode } from './safe-text.ts';

/** The name by which the ledger records a Discord user as an actor, as shown in the history of runs and reflections. */
export function discordActor({ userId, username }: Pick<Principal, 'userId' | 'username'>): string {
  return `discord user ${userId} (${username})`;
}

/** An actor from the ledger as shown in a message: Discord replaces the id with the user's name and pings nobody. */
export function actorText(actor: string, maxLength: number): string {
  const [, user] = /^discord user (\d{1,20})\b/.exec(actor) ?? [];
  return user === undefined ? inlineCode(actor, maxLength) : `<@${user}>`;
}
