import type { Secret } from '../base/secret.ts';
import type { Command } from '../domain/command.ts';

/** Follow-ups to interactions that another service received and passed on (`discord.follow_up_events`). */
export interface EventFollowUps {
  /** The application that facteur speaks for: a token of another one would not work. */
  readonly applicationId: string;
  /** Keeps the token for the notifier, in the session store only. */
  readonly keepToken: (interactionId: string, token: Secret) => Promise<void>;
}

/** Whether facteur follows up on a command in the chat, and for whom; undefined if it does not. */
export function followUpOf(
  { door, interaction, interactionId }: Pick<Command, 'door' | 'interaction' | 'interactionId'>,
  ephemeral: boolean,
  events: Pick<EventFollowUps, 'applicationId'> | undefined,
): { readonly ephemeral: boolean } | undefined {
  if (door === 'discord') {
    return { ephemeral };
  }
  if (events === undefined || interaction === undefined || interactionId === '') {
    return undefined;
  }
  const isOurs = interaction.applicationId === '' || interaction.applicationId === events.applicationId;
  return isOurs ? { ephemeral: ephemeral || interaction.ephemeral } : undefined;
}
