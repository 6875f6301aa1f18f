import type { Secret } from '../base/secret.ts';
import { FacteurError } from '../base/errors.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { Principal } from '../domain/command.ts';
import { Refusal } from '../domain/refusal.ts';
import { isFinished } from '../domain/run-state.ts';
import type { RunReceipt } from '../domain/run.ts';
import { findRun, type RunView } from '../ledger/find-runs.ts';
import { messageInteraction } from '../ledger/message-interaction.ts';
import type { ButtonAction } from '../notify/button-id.ts';
import type { Dispatch } from './dispatch.ts';
import { requirePermission, type PermissionDeps } from './permission.ts';
import { readStepLog, type StepLog, type StepLogDeps } from './step-log.ts';

/** A button under a run's message, pressed by somebody. */
export interface Press {
  readonly action: ButtonAction;
  readonly runId: string;
  readonly interactionId: string;
  readonly token: Secret;
  readonly principal: Principal;
}

/**
 * What came of it.
 *
 *   unknown   there is no such run
 *   forbidden the person may not run its command, which is recorded
 *   ending    its end was asked for
 *   over      it is over already, so there is nothing to cancel
 *   retried   a new run tries it again, and this interaction tells how that goes
 *   retried_before   somebody had it tried again already
 *   not_retryable    it is still live, or has succeeded
 *   logs      what the failing step said
 */
export type PressOutcome =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'forbidden' | 'ending' | 'over' | 'not_retryable'; readonly run: RunView }
  | { readonly kind: 'retried' | 'retried_before'; readonly run: RunView; readonly receipt: RunReceipt }
  | { readonly kind: 'logs'; readonly run: RunView; readonly log: StepLog };

export interface PressDeps extends PermissionDeps, StepLogDeps {
  readonly db: Queryable;
  readonly dispatch: Pick<Dispatch, 'cancel' | 'retry'>;
  readonly sessions: Pick<Sessions, 'keepToken'>;
}

/**
 * Does what a button says, if the person who presses it may run the command now: whoever ran it may have lost the role.
 *
 * @throws DatabaseError when the ledger does not answer
 */
export async function pressButton(press: Press, givenUp: AbortSignal, deps: PressDeps): Promise<PressOutcome> {
  const run = await findRun(deps.db, press.runId);
  if (run === undefined) {
    return { kind: 'unknown' };
  }
  if (!(await isPermitted(press, run, deps))) {
    return { kind: 'forbidden', run };
  }
  switch (press.action) {
    case 'cancel':
      return cancel(press, run, deps);
    case 'retry':
      return retry(press, run, { givenUp, deps });
    case 'logs':
      return { kind: 'logs', run, log: await readStepLog(run, deps) };
  }
}

async function isPermitted(press: Press, run: RunView, deps: PressDeps): Promise<boolean> {
  try {
    await requirePermission(commandOf(press, run), deps);
    return true;
  } catch (error) {
    if (error instanceof Refusal) {
      return false;
    }
    throw error;
  }
}

async function cancel({ principal }: Press, run: RunView, { dispatch }: PressDeps): Promise<PressOutcome> {
  const actor = `discord user ${principal.userId} (${principal.username})`;
  const state = await dispatch.cancel(run.runId, actor);
  return { kind: isFinished(state) ? 'over' : 'ending', run: { ...run, state } };
}

async function retry(
  press: Press,
  run: RunView,
  { givenUp, deps }: { readonly givenUp: AbortSignal; readonly deps: PressDeps },
): Promise<PressOutcome> {
  const { interactionId, principal } = press;
  void deps.sessions.keepToken(interactionId, press.token);
  try {
    const receipt = await deps.dispatch.retry(run.runId, {
      awaitSubmissionMs: 0,
      givenUp,
      asker: { userId: principal.userId, message: { interactionId, ephemeral: false } },
    });
    // The same press may arrive twice, and must be answered the same.
    const ours = !receipt.duplicate || (await messageInteraction(deps.db, receipt.runId)) === interactionId;
    return { kind: ours ? 'retried' : 'retried_before', run, receipt };
  } catch (error) {
    if (error instanceof FacteurError && error.code === 'run.not_retryable') {
      return { kind: 'not_retryable', run };
    }
    if (error instanceof FacteurError && error.code === 'run.unknown') {
      return { kind: 'unknown' };
    }
    throw error;
  }
}

/** The press as the command that it is about, for the role map and the record of refusals. */
function commandOf({ interactionId, principal }: Press, run: RunView) {
  return {
    door: 'discord',
    deliveryId: interactionId,
    interactionId,
    name: run.command,
    options: {},
    principal,
    correlationId: run.correlationId,
    traceparent: '',
    traceId: '',
  } as const;
}
