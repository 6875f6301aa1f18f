import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Secret } from '../base/secret.ts';
import { within } from '../base/within.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { Command, CommandDefinition, ModalDefinition } from '../domain/command.ts';
import { definitionOf } from '../domain/command-rules.ts';
import { Refusal } from '../domain/refusal.ts';
import type { RunReceipt } from '../domain/run.ts';
import { recordRefusal } from '../ledger/unprocessed.ts';
import type { DispatchEvents } from './dispatch-events.ts';
import type { Dispatch } from './dispatch.ts';
import { fieldsOf, modalOptions } from './modal-options.ts';
import { requirePermission } from './authorise.ts';
import { pressApproval, type ApprovalOutcome, type ApprovalPress, type DecideDeps } from './decide.ts';
import { pressButton, type Press, type PressDeps, type PressOutcome } from './press.ts';
import { pressReview, type ReviewDeps, type ReviewOutcome, type ReviewPress } from './review.ts';
import { readStatus, type StatusDeps, type StatusReport } from './status.ts';

/** The result of a command. `ephemeral`: only the user sees the answer. */
export type CommandOutcome =
  | { readonly kind: 'accepted'; readonly receipt: RunReceipt; readonly ephemeral: boolean }
  /** The user must fill in a form first. */
  | { readonly kind: 'form'; readonly command: string; readonly modal: ModalDefinition }
  | { readonly kind: 'status'; readonly report: StatusReport; readonly ephemeral: boolean };

/** Context of every request in a chat. */
export interface ChatOptions {
  /** For updating the response later: kept in the session store for the notifier. */
  readonly token: Secret;
  /** Aborted once the user was told that the request failed. */
  readonly givenUp: AbortSignal;
}

/** What people can do in a chat, beyond what every door offers. Each call may take a while: the door enforces the time limit. */
export interface Chat {
  /**
   * Runs a slash command, or returns the form to fill in first, or the status.
   *
   * @throws Refusal after recording it in the ledger
   * @throws DatabaseError `postgres.unavailable` if it could not be recorded
   */
  command(command: Command, options: ChatOptions): Promise<CommandOutcome>;
  /** Runs a command after its form was filled in: its options are the fields. Throws like `command`. */
  form(command: Command, options: ChatOptions): Promise<CommandOutcome>;
  /** Throws like {@link pressButton}. */
  press(press: Press, options: ChatOptions): Promise<PressOutcome>;
  /** Throws like {@link pressApproval}. */
  decide(press: ApprovalPress): Promise<ApprovalOutcome>;
  /** Throws like {@link pressReview}. */
  review(press: ReviewPress): Promise<ReviewOutcome>;
}

interface ChatDeps
  extends StatusDeps, Omit<PressDeps, 'db' | 'sessions'>, Omit<DecideDeps, 'db'>, Pick<ReviewDeps, 'reviewers'> {
  readonly db: Database;
  readonly dispatch: Dispatch;
  readonly sessions: Pick<Sessions, 'keepToken' | 'lastDispatch'>;
  readonly events: Pick<DispatchEvents, 'commandFailed'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** `review` is linked to its author's last request; how long to wait for the session store, in milliseconds. */
const SESSION_PATIENCE_MS = 300;

export function createChat(deps: ChatDeps): Chat {
  return {
    command: (command, options) =>
      recordingRefusals(command, deps, async () => {
        const definition = await definitionFor(command, deps);
        if (definition.modal !== undefined) {
          return { kind: 'form', command: command.name.toLowerCase(), modal: definition.modal };
        }
        if (definition.action === 'status') {
          const { ephemeral } = definition;
          const report = await readStatus(command.principal.userId, { ...deps, isPublic: !ephemeral });
          return { kind: 'status', report, ephemeral };
        }
        return run(await withLastDispatch(command, deps), definition, { options, deps });
      }),
    form: (command, options) =>
      recordingRefusals(command, deps, async () => {
        const definition = await definitionFor(command, deps);
        const { interactionId, principal } = command;
        const fields = fieldsOf(command.options, definition.modal);
        const filledIn = modalOptions({ fields, interactionId, principal, issuedAt: deps.clock.now() });
        return run({ ...command, options: filledIn }, definition, { options, deps });
      }),
    press: (press, { givenUp }) => pressButton(press, givenUp, deps),
    decide: (press) => pressApproval(press, deps),
    review: (press) => pressReview(press, deps),
  };
}

/** Permission first: without it, nobody learns which options a command has. */
async function definitionFor(command: Command, deps: ChatDeps): Promise<CommandDefinition> {
  const rules = deps.rules();
  const definition = definitionOf(rules, command.name);
  if (definition === undefined || !isForGuild(definition, command.principal.guildId)) {
    throw new Refusal('unknown_command', `${command.name} is not defined`);
  }
  await requirePermission(command, { db: deps.db, rules });
  return definition;
}

/** A template may limit its command to some servers. */
function isForGuild({ guilds }: CommandDefinition, guildId: string): boolean {
  return guilds === undefined || guilds.includes(guildId);
}

async function run(
  command: Command,
  { ephemeral }: CommandDefinition,
  { options, deps }: { readonly options: ChatOptions; readonly deps: ChatDeps },
): Promise<CommandOutcome> {
  // Started before the row exists, but not awaited: a notifier that does not find the token yet looks again.
  void deps.sessions.keepToken(command.interactionId, options.token);
  const receipt = await deps.dispatch.command(command, { awaitSubmissionMs: 0, givenUp: options.givenUp });
  return { kind: 'accepted', receipt, ephemeral };
}

async function withLastDispatch(command: Command, { sessions, timer }: ChatDeps): Promise<Command> {
  if (command.name.toLowerCase() !== 'review') {
    return command;
  }
  const last = await within(timer, SESSION_PATIENCE_MS, () => sessions.lastDispatch(command.principal.userId));
  const correlationId = last.inTime ? (last.value?.correlationId ?? '') : '';
  return correlationId === '' ? command : { ...command, added: { last_correlation_id: correlationId } };
}

/** A missing permission is recorded where it is decided, other refusals here. */
async function recordingRefusals<T>(command: Command, deps: ChatDeps, work: () => Promise<T>): Promise<T> {
  const { db, logger, events } = deps;
  try {
    return await work();
  } catch (error) {
    events.commandFailed(command.name, error);
    if (error instanceof Refusal && error.kind !== 'forbidden') {
      const reason = error.details === undefined ? error.message : `${error.message}: ${error.details}`;
      await recordRefusal(db, command, reason).catch((failure: unknown) => {
        // The refusal is the more useful error.
        logger.warn({ error: errorMessage(failure) }, 'could not record a refusal');
      });
    }
    throw error;
  }
}
