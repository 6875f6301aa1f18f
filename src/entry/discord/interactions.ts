import type { Clock } from '../../base/clock.ts';
import { FacteurError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import { within } from '../../base/within.ts';
import type { Chat, ChatOptions, CommandOutcome } from '../../dispatch/chat.ts';
import { authorise } from '../../dispatch/authorise.ts';
import { findCommand, type Command, type CommandDefinition } from '../../domain/command.ts';
import { Refusal } from '../../domain/refusal.ts';
import { parseButtonId } from '../../notify/button-id.ts';
import { commandForm, commandOfForm } from './form.ts';
import type { Asked, Interaction } from './interaction.ts';
import { deferred, message, noSuggestions, pong, suggestions, whisper, type Reply } from './reply.ts';
import { pressText, refusalText, SAY, statusText, unreadableText } from './wording.ts';

export interface InteractionDeps {
  /** Throws a retryable FacteurError while it cannot do its work. */
  readonly chat: Chat;
  readonly commands: Readonly<Record<string, CommandDefinition>>;
  readonly roleMap: Readonly<Record<string, readonly string[]>>;
  /** When set, other servers are turned away. */
  readonly guildId: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long an answer may take, in milliseconds. */
  readonly answerMs?: number;
}

/**
 * Discord waits 3 seconds for the whole exchange. This leaves room for the way there and back, and for an event loop that
 * has other things to do.
 */
const ANSWER_MS = 2000;

type Of<K extends Interaction['kind']> = Extract<Interaction, { kind: K }>;

/**
 * What is answered to an interaction, in time whatever else is slow or down. Never rejects: to the person who asked, an
 * answer that says what is wrong is better than Discord's «the application did not respond».
 *
 * @param traceparent of the request, or empty
 */
export async function answerInteraction(
  interaction: Interaction,
  traceparent: string,
  deps: InteractionDeps,
): Promise<Reply> {
  if (interaction.kind === 'ping') {
    return pong;
  }
  if (interaction.kind === 'unreadable') {
    return interaction.typing ? noSuggestions : whisper(unreadableText(interaction.refusal));
  }
  if (isElsewhere(interaction, deps)) {
    return interaction.kind === 'typing' ? noSuggestions : whisper(SAY.otherGuild);
  }
  return answerPerson(interaction, traceparent, deps);
}

/** In another server than the one that facteur is for. A direct message is in none, and its sender has no roles. */
function isElsewhere({ principal: { guildId } }: Asked, deps: InteractionDeps): boolean {
  return deps.guildId !== undefined && guildId !== '' && guildId !== deps.guildId;
}

async function answerPerson(
  interaction: Extract<Interaction, Asked>,
  traceparent: string,
  deps: InteractionDeps,
): Promise<Reply> {
  switch (interaction.kind) {
    case 'command':
      return runCommand(interaction, traceparent, deps);
    case 'typing':
      return suggest(interaction, deps);
    case 'press':
      return pressed(interaction, deps);
    case 'form':
      return formSent(interaction, traceparent, deps);
    case 'other':
      return whisper(SAY.notKnown);
  }
}

async function runCommand(interaction: Of<'command'>, traceparent: string, deps: InteractionDeps): Promise<Reply> {
  const command = commandOf(interaction, { ...interaction, traceparent });
  return inTime(interaction, command.name, deps, async (options) => said(await deps.chat.command(command, options)));
}

async function formSent(interaction: Of<'form'>, traceparent: string, deps: InteractionDeps): Promise<Reply> {
  const name = commandOfForm(interaction.customId);
  if (name === undefined || deps.commands[name]?.modal === undefined) {
    return whisper(SAY.oldForm);
  }
  const command = commandOf(interaction, { name, options: interaction.fields, traceparent });
  return inTime(interaction, name, deps, async (options) => said(await deps.chat.form(command, options)));
}

async function pressed(interaction: Of<'press'>, deps: InteractionDeps): Promise<Reply> {
  const button = parseButtonId(interaction.customId);
  if (button === undefined) {
    return whisper(SAY.oldButton);
  }
  const { interactionId, token, principal } = interaction;
  return inTime(interaction, button.action, deps, async (options) => {
    const outcome = await deps.chat.press({ ...button, interactionId, token, principal }, options);
    return outcome.kind === 'retried' ? deferred(false) : whisper(pressText(outcome));
  });
}

/** Values come from the configuration; whoever may not run the command is offered none. */
function suggest({ name, focused, principal }: Of<'typing'>, deps: InteractionDeps): Reply {
  const allowed = authorise(deps.roleMap, name, principal).allowed;
  const definition = allowed ? findCommand(deps.commands, name) : undefined;
  return suggestions(
    definition?.options.find((option) => option.name === focused?.name),
    focused?.typed ?? '',
  );
}

function commandOf(
  { interactionId, principal }: Asked,
  what: Pick<Command, 'name' | 'options' | 'traceparent'>,
): Command {
  const { name, options, traceparent } = what;
  return {
    door: 'discord',
    deliveryId: interactionId,
    interactionId,
    name,
    options,
    principal,
    correlationId: '',
    traceparent,
    traceId: '',
  };
}

function said(outcome: CommandOutcome): Reply {
  switch (outcome.kind) {
    case 'accepted':
      return deferred(outcome.ephemeral);
    case 'form':
      return commandForm(outcome.command, outcome.modal);
    case 'status':
      return message(statusText(outcome.report), outcome.ephemeral);
  }
}

/** The answer that `work` finds, or the one that says why there is none. */
async function inTime(
  { kind, token, interactionId }: Asked & Pick<Interaction, 'kind'>,
  name: string,
  deps: InteractionDeps,
  work: (options: ChatOptions) => Promise<Reply>,
): Promise<Reply> {
  const givingUp = new AbortController();
  const working = work({ token, givenUp: givingUp.signal }).catch((error: unknown) =>
    failed(error, { name, interactionId, logger: deps.logger }),
  );
  const outcome = await within(deps.answerMs ?? ANSWER_MS, working);
  if (outcome.inTime) {
    return outcome.value;
  }
  givingUp.abort();
  deps.logger.warn({ interactionId, interaction: kind }, 'interaction not dealt with in time');
  return whisper(kind === 'press' ? SAY.pressTooSlow : SAY.tooSlow);
}

interface FailureFacts {
  readonly name: string;
  readonly interactionId: string;
  readonly logger: Logger;
}

function failed(error: unknown, { name, interactionId, logger }: FailureFacts): Reply {
  if (error instanceof Refusal) {
    logger.info({ interactionId, reason: error.message, details: error.details }, 'interaction refused');
    return whisper(refusalText(error, name));
  }
  if (error instanceof FacteurError && error.retryable) {
    logger.warn({ interactionId, error }, 'interaction cannot be dealt with now');
    return whisper(SAY.tryAgain);
  }
  logger.error({ interactionId, error }, 'interaction failed');
  return whisper(SAY.broken);
}
