import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Secret } from '../base/secret.ts';
import { within } from '../base/within.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import { findCommand, type Command, type CommandDefinition, type ModalDefinition } from '../domain/command.ts';
import { Refusal } from '../domain/refusal.ts';
import type { RunReceipt } from '../domain/run.ts';
import { recordRefusal } from '../ledger/refusals.ts';
import type { Dispatch } from './dispatch.ts';
import { modalOptions } from './modal-options.ts';
import { requirePermission } from './permission.ts';
import { pressButton, type Press, type PressDeps, type PressOutcome } from './press.ts';
import { readStatus, type StatusDeps, type StatusReport } from './status.ts';

/** What a command came to. `ephemeral`: only the user shall see the answer. */
export type CommandOutcome =
  | { readonly kind: 'accepted'; readonly receipt: RunReceipt; readonly ephemeral: boolean }
  /** A form is to be filled in first. */
  | { readonly kind: 'form'; readonly command: string; readonly modal: ModalDefinition }
  | { readonly kind: 'status'; readonly report: StatusReport; readonly ephemeral: boolean };

/** What goes with everything that is asked in a chat. */
export interface ChatOptions {
  /** Answers the interaction later: kept in the session store, for whoever tells how the run goes. */
  readonly token: Secret;
  /** Aborted once the person was told that nothing came of it. */
  readonly givenUp: AbortSignal;
}

/** What people can do in a chat, beyond what every door offers. All of it may take its time: the door watches the clock. */
export interface Chat {
  /**
   * Runs a slash command, or says which form it wants first, or how things are.
   *
   * @throws Refusal, which is in the ledger by then
   * @throws DatabaseError `postgres.unavailable` when it could not be recorded
   */
  command(command: Command, options: ChatOptions): Promise<CommandOutcome>;
  /** Runs a command whose form was filled in: its options are the fields. Throws as `command` does. */
  form(command: Command, options: ChatOptions): Promise<CommandOutcome>;
  /** Throws as {@link pressButton} does. */
  press(press: Press, options: ChatOptions): Promise<PressOutcome>;
}

export interface ChatDeps extends StatusDeps, Omit<PressDeps, 'db' | 'sessions'> {
  readonly db: Database;
  readonly dispatch: Dispatch;
  readonly sessions: Pick<Sessions, 'keepToken' | 'lastDispatch'>;
  readonly commands: Readonly<Record<string, CommandDefinition>>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A review is linked to what its author did last; the session store is waited for this long, in milliseconds. */
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
          const report = await readStatus(command.principal.userId, deps);
          return { kind: 'status', report, ephemeral: definition.ephemeral };
        }
        return run(await withLastDispatch(command, deps), definition, { options, deps });
      }),
    form: (command, options) =>
      recordingRefusals(command, deps, async () => {
        const definition = await definitionFor(command, deps);
        const { interactionId, principal } = command;
        const fields = command.options;
        const filledIn = modalOptions({ fields, interactionId, principal, issuedAt: deps.clock.now() });
        return run({ ...command, options: filledIn }, definition, { options, deps });
      }),
    press: (press, { givenUp }) => pressButton(press, givenUp, deps),
  };
}

/** Permission first: a stranger shall not even learn what a command would ask. */
async function definitionFor(command: Command, deps: ChatDeps): Promise<CommandDefinition> {
  const definition = findCommand(deps.commands, command.name);
  if (definition === undefined) {
    throw new Refusal('unknown_command', `there is no command ${command.name}`);
  }
  await requirePermission(command, deps);
  return definition;
}

async function run(
  command: Command,
  { ephemeral }: CommandDefinition,
  { options, deps }: { readonly options: ChatOptions; readonly deps: ChatDeps },
): Promise<CommandOutcome> {
  // Before the row is there: whoever tells of the run may look for the token at once.
  void deps.sessions.keepToken(command.interactionId, options.token);
  const receipt = await deps.dispatch.command(command, { awaitSubmissionMs: 0, givenUp: options.givenUp });
  return { kind: 'accepted', receipt, ephemeral };
}

async function withLastDispatch(command: Command, { sessions }: ChatDeps): Promise<Command> {
  if (command.name.toLowerCase() !== 'review') {
    return command;
  }
  const last = await within(SESSION_PATIENCE_MS, sessions.lastDispatch(command.principal.userId));
  const correlationId = last.inTime ? (last.value?.correlationId ?? '') : '';
  return correlationId === '' ? command : { ...command, added: { last_correlation_id: correlationId } };
}

/** A refusal for want of permission is recorded where it is decided; the others here. */
async function recordingRefusals<T>(command: Command, { db, logger }: ChatDeps, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal && error.kind !== 'forbidden') {
      const reason = error.details === undefined ? error.message : `${error.message}: ${error.details}`;
      await recordRefusal(db, command, reason).catch((failure: unknown) => {
        // The refusal is the better answer.
        logger.warn({ error: errorMessage(failure) }, 'a refusal could not be recorded');
      });
    }
    throw error;
  }
}
