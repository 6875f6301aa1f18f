import type { Secret } from '../base/secret.ts';
import type { Command, CommandDefinition } from '../domain/command.ts';
import type { CommandRules } from '../domain/command-rules.ts';
import type { RunMessage } from '../domain/run.ts';
import { authorise } from './authorise.ts';

/** Follow-ups to interactions that another service received and forwarded (`discord.follow_up_events`). */
export interface EventFollowUps {
  /** facteur's application: the token of another one would not work. */
  readonly applicationId: string;
  /** Keeps the token for the notifier, only in the session store. */
  readonly keepToken: (interactionId: string, token: Secret) => Promise<void>;
}

/** Whether facteur follows up on a command in the chat, and who sees it; undefined if it does not. */
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

/** The preferences of a command for the messages of its runs. */
export function wishesOf(
  { name, options, principal }: Command,
  definition: CommandDefinition | undefined,
  rules: CommandRules,
): Pick<RunMessage, 'ping' | 'quiet'> {
  const { allowedRoles } = authorise(rules, name, principal);
  return { ping: pingTarget(definition, options, allowedRoles), quiet: definition?.quiet === true };
}

/** Maximum number of roles to mention at once. */
const MAX_ROLES = 3;
/** With a boolean option of this name, users can request the notification themselves. */
const ASKED = 'notify';

/** Whom to notify when a run ends: `author`, `roles:` and their ids, or empty for nobody. */
function pingTarget(
  definition: CommandDefinition | undefined,
  options: Readonly<Record<string, string>>,
  allowedRoles: readonly string[],
): string {
  if (definition?.notify === 'role') {
    return allowedRoles.length === 0 ? '' : `roles:${allowedRoles.slice(0, MAX_ROLES).join(',')}`;
  }
  const mayAsk = definition?.options.some(({ name, type }) => name === ASKED && type === 'boolean') === true;
  const asks = mayAsk && Object.hasOwn(options, ASKED) && options[ASKED] === 'true';
  return definition?.notify === 'author' || asks ? 'author' : '';
}
