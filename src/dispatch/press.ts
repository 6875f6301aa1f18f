import type { Secret } from '../base/secret.ts';
import { FacteurError } from '../base/errors.ts';
import { hideKnown } from '../base/known-credentials.ts';
import { redactFields } from '../base/redact.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { Principal } from '../domain/command.ts';
import { discordActor } from '../presentation/discord-actor.ts';
import { definitionOf, findCommand, type RuleSource } from '../domain/command-rules.ts';
import { Refusal } from '../domain/refusal.ts';
import { isFinished } from '../domain/run-state.ts';
import type { RunReceipt } from '../domain/run.ts';
import { isOfCommand } from '../domain/workflow-plan.ts';
import { readRun, type RunView, type RunWithPlan } from '../ledger/find-runs.ts';
import { findMessage } from '../ledger/messages.ts';
import type { ButtonAction } from '../presentation/button-id.ts';
import type { Dispatch } from './dispatch.ts';
import { authorise, requirePermission } from './authorise.ts';
import { readStepLog, type StepLog, type StepLogDeps } from './step-log.ts';

/** A press on a button under a run's message. */
export interface Press {
  readonly action: ButtonAction;
  readonly runId: string;
  readonly interactionId: string;
  readonly token: Secret;
  readonly principal: Principal;
}

/**
 * The result of the press.
 *
 * unknown   the run is unknown
 * forbidden the user may not run its command; this is recorded
 * ending    a cancel was requested
 * over      it has already ended, so there is nothing to cancel
 * confirm   its command requires a second press before it is run again
 * retried   a new run retries it, and this interaction follows the new run
 * retried_before   it was already retried
 * not_retryable    it is live, or succeeded; or its command has `changed` and no longer accepts the request
 * logs      the output of the failing step, or of the current one
 * request   the request, without secrets
 */
export type PressOutcome =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'forbidden'; readonly run: RunView; readonly roles: readonly string[] }
  | { readonly kind: 'ending' | 'over'; readonly run: RunView }
  | { readonly kind: 'confirm'; readonly run: RunView }
  | { readonly kind: 'not_retryable'; readonly run: RunView; readonly changed?: true }
  | {
      readonly kind: 'request';
      readonly run: RunView;
      readonly parameters: Readonly<Record<string, unknown>> | undefined;
    }
  | { readonly kind: 'retried'; readonly run: RunView; readonly receipt: RunReceipt; readonly ephemeral: boolean }
  | { readonly kind: 'retried_before'; readonly run: RunView; readonly receipt: RunReceipt }
  | { readonly kind: 'logs'; readonly run: RunView; readonly log: StepLog };

export interface PressDeps extends RuleSource, StepLogDeps {
  readonly db: Queryable;
  readonly dispatch: Pick<Dispatch, 'cancel' | 'retry'>;
  readonly sessions: Pick<Sessions, 'keepToken'>;
}

/**
 * Carries out a press if the user may currently run the command: even its original user may have lost the role.
 *
 * @throws DatabaseError if the ledger does not answer
 */
export async function pressButton(press: Press, givenUp: AbortSignal, deps: PressDeps): Promise<PressOutcome> {
  const run = await readRun(deps.db, press.runId, null);
  if (run === undefined) {
    return { kind: 'unknown' };
  }
  const refusal = await refusalOf(press, run, deps);
  if (refusal !== undefined) {
    return refusal;
  }
  switch (press.action) {
    case 'cancel':
      return cancel(press, run, deps);
    case 'retry':
    case 'again':
    case 'confirm':
      return retry(press, run, { givenUp, deps });
    case 'logs':
      return { kind: 'logs', run, log: await readStepLog(run, deps) };
    case 'request':
      return { kind: 'request', run, parameters: run.plan === null ? undefined : shown(run.plan.parameters) };
  }
}

/** The parameters with secrets and credentials hidden. */
function shown(parameters: Readonly<Record<string, string>>): Readonly<Record<string, unknown>> {
  const entries = Object.entries(redactFields(parameters));
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'string' ? hideKnown(value) : value]),
  );
}

/** Roles are for the runs of their own command: when it is gone, nobody may use their buttons, whoever has its name now. */
async function refusalOf(press: Press, run: RunWithPlan, deps: PressDeps): Promise<PressOutcome | undefined> {
  const rules = deps.rules();
  if (run.plan !== null && !isOfCommand(run.plan, definitionOf(rules, run.command))) {
    return { kind: 'forbidden', run, roles: [] };
  }
  try {
    const { interactionId: deliveryId, principal } = press;
    await requirePermission({ door: 'discord', deliveryId, name: run.command, principal }, { db: deps.db, rules });
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) {
      return { kind: 'forbidden', run, roles: authorise(rules, run.command, press.principal).allowedRoles };
    }
    throw error;
  }
}

async function cancel({ principal }: Press, run: RunView, { dispatch }: PressDeps): Promise<PressOutcome> {
  const state = await dispatch.cancel(run.runId, discordActor(principal));
  return { kind: isFinished(state) ? 'over' : 'ending', run: { ...run, state } };
}

/** Only for a run that has ended: for a live one, the retry reports the error. */
function wantsConfirmation({ command, state }: RunView, deps: PressDeps): boolean {
  return isFinished(state) && definitionOf(deps.rules(), command)?.confirm === true;
}

async function retry(
  press: Press,
  run: RunView,
  { givenUp, deps }: { readonly givenUp: AbortSignal; readonly deps: PressDeps },
): Promise<PressOutcome> {
  const { interactionId, principal } = press;
  if (press.action === 'again' && wantsConfirmation(run, deps)) {
    return { kind: 'confirm', run };
  }
  void deps.sessions.keepToken(interactionId, press.token);
  const ephemeral = await isPrivate(run, deps);
  try {
    const receipt = await deps.dispatch.retry(run.runId, {
      awaitSubmissionMs: 0,
      door: 'discord',
      givenUp,
      again: press.action !== 'retry',
      asker: { userId: principal.userId, message: { interactionId, ephemeral } },
    });
    // The same press may arrive twice, and must get the same answer.
    const ours = !receipt.duplicate || (await findMessage(deps.db, receipt.runId))?.interactionId === interactionId;
    return ours ? { kind: 'retried', run, receipt, ephemeral } : { kind: 'retried_before', run, receipt };
  } catch (error) {
    return failedRetry(error, run);
  }
}

function failedRetry(error: unknown, run: RunView): PressOutcome {
  if (error instanceof FacteurError && error.code === 'run.not_retryable') {
    return { kind: 'not_retryable', run };
  }
  if (error instanceof FacteurError && error.code === 'run.unknown') {
    return { kind: 'unknown' };
  }
  if (error instanceof Refusal && error.kind === 'command_changed') {
    return { kind: 'not_retryable', run, changed: true };
  }
  throw error;
}

/** What only one person could see stays private, and a command may have become private since. */
async function isPrivate(run: RunView, deps: PressDeps): Promise<boolean> {
  return (
    findCommand(deps.rules(), run.command)?.ephemeral === true ||
    (await findMessage(deps.db, run.runId))?.ephemeral === true
  );
}
