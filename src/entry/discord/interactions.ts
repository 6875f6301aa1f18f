import type { Clock } from '../../base/clock.ts';
import { FacteurError } from '../../base/errors.ts';
import type { Gate } from '../../base/gate.ts';
import type { Logger } from '../../base/logger.ts';
import type { Timer } from '../../base/timer.ts';
import type { UrgentWork } from '../../base/urgent-work.ts';
import { within } from '../../base/within.ts';
import type { Chat, ChatOptions, CommandOutcome } from '../../dispatch/chat.ts';
import { dictionary } from '../../config/dictionary.ts';
import { authorise } from '../../dispatch/authorise.ts';
import type { Command } from '../../domain/command.ts';
import { findCommand, type CommandRules, type RuleSource } from '../../domain/command-rules.ts';
import { Refusal } from '../../domain/refusal.ts';
import { parseApprovalButtonId, parseButtonId, parseReviewButtonId } from '../../presentation/button-id.ts';
import { approvalForm, filledIn } from './approval-form.ts';
import { approvalText } from './approval-wording.ts';
import { commandForm, commandOfForm } from './form.ts';
import type { Asked, Interaction } from './interaction.ts';
import { reviewAnswer } from './review-answer.ts';
import { deferred, message, noSuggestions, pong, suggestions, whisper, withTyped, type Reply } from './reply.ts';
import { pressAnswer } from './press-answer.ts';
import { refusalText, SAY, statusText, unreadableText } from './wording.ts';

export interface InteractionDeps extends RuleSource {
  /** Opens when `chat` has a ledger. */
  readonly gate: Pick<Gate, 'pass'>;
  /** Throws a retryable FacteurError while it cannot work. */
  readonly chat: Chat;
  /** Counts the interactions that wait for a response: workers slow down for them. */
  readonly urgent: Pick<UrgentWork, 'run'>;
  /** If set, interactions from other servers are refused. */
  readonly guildId: string | undefined;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly logger: Logger;
}

/** Discord waits 3 seconds for the whole exchange. This leaves time for the network and for a busy event loop. */
const ANSWER_MS = 2000;

type Of<K extends Interaction['kind']> = Extract<Interaction, { kind: K }>;

/**
 * Responds to an interaction in time, even if everything else is slow or down. Never rejects: a response that explains the
 * problem is better than Discord's "The application did not respond".
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

/** Whether it is from a server for which facteur is not configured. A direct message has no server, and its sender no roles. */
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
  const { name, prefix } = invoked(deps.rules(), interaction.name, interaction.path);
  const given = withoutPrefix(interaction.options, prefix);
  const command = commandOf(interaction, { name, options: given, traceparent });
  return inTime(interaction, command.name, deps, async (options) => said(await deps.chat.command(command, options)));
}

/** Any text may be a name, so the copy has no prototype either. */
function withoutPrefix(options: Readonly<Record<string, string>>, prefix: string): Readonly<Record<string, string>> {
  return dictionary(
    Object.entries(options).map(([key, value]) => [key.startsWith(prefix) ? key.slice(prefix.length) : key, value]),
  );
}

async function formSent(interaction: Of<'form'>, traceparent: string, deps: InteractionDeps): Promise<Reply> {
  if (parseApprovalButtonId(interaction.customId) !== undefined) {
    return decide(interaction, interaction.fields, deps);
  }
  const name = commandOfForm(interaction.customId);
  if (name === undefined || !mayHaveForm(name, deps.rules())) {
    return withTyped(whisper(SAY.oldForm), interaction.fields);
  }
  const command = commandOf(interaction, { name, options: interaction.fields, traceparent });
  const reply = await inTime(interaction, name, deps, async (options) => said(await deps.chat.form(command, options)));
  return withTyped(reply, interaction.fields);
}

/** An unknown name may be the command of a template that is not known yet. */
function mayHaveForm(name: string, rules: CommandRules): boolean {
  const definition = findCommand(rules, name);
  return definition === undefined ? rules.incomplete === true : definition.modal !== undefined;
}

async function pressed(interaction: Of<'press'>, deps: InteractionDeps): Promise<Reply> {
  if (parseApprovalButtonId(interaction.customId) !== undefined) {
    return decide(interaction, undefined, deps);
  }
  const { interactionId, token, principal } = interaction;
  const review = parseReviewButtonId(interaction.customId);
  if (review !== undefined) {
    return inTime(interaction, review.action, deps, async () =>
      reviewAnswer(await deps.chat.review({ button: review, interactionId, principal }), review),
    );
  }
  const button = parseButtonId(interaction.customId);
  if (button === undefined) {
    return whisper(SAY.oldButton);
  }
  return inTime(interaction, button.action, deps, async (options) => {
    return pressAnswer(await deps.chat.press({ ...button, interactionId, token, principal }, options));
  });
}

/** A press on an approval's button, or its form. It starts no run, so a late response asks the user to check the message. */
async function decide(
  interaction: Of<'press'> | Of<'form'>,
  inputs: Readonly<Record<string, string>> | undefined,
  deps: InteractionDeps,
): Promise<Reply> {
  const button = parseApprovalButtonId(interaction.customId);
  if (button === undefined) {
    return whisper(SAY.oldButton);
  }
  const { action, runId, key } = button;
  const { interactionId, principal } = interaction;
  return inTime({ ...interaction, kind: 'press' }, action, deps, async () => {
    const given = inputs === undefined ? undefined : filledIn(inputs);
    const verdict = action === 'approve' ? 'approved' : 'rejected';
    const outcome = await deps.chat.decide({ verdict, runId, key, interactionId, principal, given });
    return outcome.kind === 'form' ? approvalForm(outcome) : whisper(approvalText(outcome));
  });
}

/**
 * The command that a path of subcommands refers to: a command of its own (`deploy api`), whose options are those below the path,
 * or one that has the path in the names of its options (`api.version`).
 */
function invoked(
  { commands }: CommandRules,
  name: string,
  path: readonly string[],
): { readonly name: string; readonly prefix: string } {
  const full = [name, ...path].join(' ');
  return path.length > 0 && Object.hasOwn(commands, full)
    ? { name: full, prefix: `${path.join('.')}.` }
    : { name, prefix: '' };
}

/** Values come from the configuration or a template; users without permission for the command get none. */
function suggest({ name, path, focused, principal }: Of<'typing'>, deps: InteractionDeps): Reply {
  const rules = deps.rules();
  const { name: full, prefix } = invoked(rules, name, path);
  const allowed = authorise(rules, full, principal).allowed;
  const definition = allowed ? findCommand(rules, full) : undefined;
  return suggestions(
    definition?.options.find((option) => `${prefix}${option.name}` === focused?.name),
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

/** The answer of `work`, or the one that explains why there is none. */
async function inTime(
  { kind, token, interactionId }: Asked & Pick<Interaction, 'kind'>,
  name: string,
  deps: InteractionDeps,
  work: (options: ChatOptions) => Promise<Reply>,
): Promise<Reply> {
  const outcome = await within(deps.timer, ANSWER_MS, async (givenUp) => {
    try {
      deps.gate.pass();
      return await deps.urgent.run(() => work({ token, givenUp }));
    } catch (error) {
      return failed(error, { name, interactionId, logger: deps.logger });
    }
  });
  if (outcome.inTime) {
    return outcome.value;
  }
  deps.logger.warn({ interactionId, interaction: kind }, 'interaction not handled in time');
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
    logger.warn({ interactionId, error }, 'interaction cannot be handled now');
    return whisper(SAY.tryAgain);
  }
  logger.error({ interactionId, error }, 'interaction failed');
  return whisper(SAY.broken);
}
