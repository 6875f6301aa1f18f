import type { Principal } from '../domain/command.ts';
import { inlineCode } from './safe-text.ts';

/** How the ledger names a person in Discord who did something, as the history of runs and reflections shows it. */
export function discordActor({ userId, username }: Pick<Principal, 'userId' | 'username'>): string {
  return `discord user ${userId} (${username})`;
}

/** An actor of the ledger in a message: Discord shows a user's name for the id, and mentions nobody here. */
export function actorText(actor: string, maxLength: number): string {
  const [, user] = /^discord user (\d{1,20})\b/.exec(actor) ?? [];
  return user === undefined ? inlineCode(actor, maxLength) : `<@${user}>`;
}
