import type { Clock } from '../base/clock.ts';
import { errorMessage, FacteurError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { traceField } from '../base/traceparent.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { ArgoConfig, CodexConfig } from '../config/config.ts';
import type { CodexDelivery } from '../domain/codex-delivery.ts';
import { findCommand, type Command, type CommandDefinition } from '../domain/command.ts';
import { Refusal } from '../domain/refusal.ts';
import type { RunState } from '../domain/run-state.ts';
import type { NewRun, RunReceipt } from '../domain/run.ts';
import { MAX_WORKFLOW_BYTES, workflowManifest } from '../domain/workflow-manifest.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';
import type { Announcements } from '../ledger/announcements.ts';
import { findForRetry } from '../ledger/find-for-retry.ts';
import { findSubmission } from '../ledger/find-submission.ts';
import { requestCancel } from '../ledger/request-cancel.ts';
import { createRunRecorder, type RunRecorder } from '../ledger/run-recorder.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';
import type { Slot } from '../submit/slots.ts';
import type { Submitter } from '../submit/submitter.ts';
import { codexRun, commandRun } from './new-run.ts';
import { requirePermission } from './permission.ts';
import { planCodexTask } from './plan-codex.ts';
import { planCommand } from './plan-command.ts';
import { retryOf, type Asker } from './retry.ts';
import { wakeSubmission, type WakeDeps } from './wake.ts';
import { withdrawInTime } from './withdraw.ts';

export interface AcceptOptions {
  /** How long to wait for the submission before answering, in milliseconds; 0 answers when it is recorded. */
  readonly awaitSubmissionMs: number;
  /**
   * For senders who ask again under another delivery id when they are told that nothing came of it: what is recorded all
   * the same, after this was aborted or although the database's answer was lost, is canceled and not submitted.
   */
  readonly givenUp?: AbortSignal;
}

export interface RetryOptions extends AcceptOptions {
  /** Who asks, where it is not whoever asked for the first run; the new run's news go to them. */
  readonly asker?: Asker;
}

/** The use case behind every door: authorise, plan, record, and have it submitted. */
export interface Dispatch {
  /**
   * @throws Refusal when it may never run
   * @throws DatabaseError `postgres.unavailable` when it could not be recorded: nothing happened, try again
   */
  command(command: Command, options: AcceptOptions): Promise<RunReceipt>;
  /** Likewise for a Codex task. */
  codexTask(delivery: CodexDelivery, options: AcceptOptions): Promise<RunReceipt>;
  /**
   * Tries a finished run again, as a new run linked to it.
   *
   * @throws FacteurError `run.unknown`, `run.not_retryable`
   */
  retry(runId: string, options: RetryOptions): Promise<RunReceipt>;
  /**
   * Asks for the end of a live run; one that is over stays as it is.
   *
   * @returns the state that it was in
   * @throws FacteurError `run.unknown`
   */
  cancel(runId: string, actor: string): Promise<RunState>;
}

export interface DispatchDeps {
  readonly db: Database;
  /** Runs are recorded as `skipped` and never submitted. */
  readonly disabled: boolean;
  /** Absent where another process submits. */
  readonly submitter: Submitter | undefined;
  readonly sessions: Pick<Sessions, 'rememberDispatch'>;
  readonly announcements: Announcements;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly logger: Logger;
  readonly roleMap: Readonly<Record<string, readonly string[]>>;
  readonly commands: Readonly<Record<string, CommandDefinition>>;
  readonly argo: ArgoConfig;
  readonly codex: CodexConfig;
}

interface Parts extends DispatchDeps {
  readonly recorder: RunRecorder;
}

export function createDispatch(given: DispatchDeps): Dispatch {
  const deps: Parts = { ...given, recorder: createRunRecorder(given.db) };
  const moment = () => ({
    acceptedAt: deps.clock.now(),
    state: deps.disabled ? ('skipped' as const) : ('queued' as const),
  });
  return {
    async command(command, options) {
      await requirePermission(command, deps);
      const definition = findCommand(deps.commands, command.name);
      const plan = planCommand(command, definition, deps.argo);
      const run = commandRun(command, plan, {
        ...moment(),
        freshId: deps.newId(),
        ephemeral: definition?.ephemeral ?? false,
      });
      const receipt = await accept(run, options, deps);
      remember(command, receipt, deps.sessions);
      return receipt;
    },
    async codexTask(delivery, options) {
      const plan = planCodexTask(delivery.task, deps.codex, deps.argo);
      return accept(codexRun(delivery, plan, moment()), options, deps);
    },
    async retry(runId, options) {
      const run = await findForRetry(deps.db, runId);
      if (run === undefined) {
        throw new FacteurError('run.unknown', 'there is no such run, or it was archived', { retryable: false });
      }
      return accept(retryOf(run, moment(), options.asker), options, deps);
    },
    async cancel(runId, actor) {
      const asked = await requestCancel(deps.db, runId, actor);
      if (asked === undefined) {
        throw new FacteurError('run.unknown', 'there is no such run', { retryable: false });
      }
      wakeSubmission(deps);
      if (asked.news) {
        void deps.announcements.messagesDue();
      }
      return asked.state;
    },
  };
}

/** For `/status` and `/review`. Nobody waits for it: what happens to a session never changes what happens to a run. */
function remember(command: Command, receipt: RunReceipt, sessions: Pick<Sessions, 'rememberDispatch'>): void {
  const { userId } = command.principal;
  if (userId !== '' && !receipt.duplicate) {
    const { namespace, workflowName, correlationId } = receipt;
    const message = `Workflow \`${workflowName}\` submitted to namespace \`${namespace}\`.`;
    void sessions.rememberDispatch(userId, {
      namespace,
      workflowName,
      message,
      correlationId,
      traceId: command.traceId,
    });
  }
}

async function accept(run: NewRun, options: AcceptOptions, deps: Parts): Promise<RunReceipt> {
  refuseOversized(run);
  const { receipt, slot } = await recordInSlot(run, options.givenUp, deps).catch((error: unknown) => {
    if (options.givenUp !== undefined) {
      void withdrawInTime(run, deps);
    }
    throw error;
  });
  const { runId, state } = receipt;
  if (isUnwanted(receipt, options)) {
    slot?.release();
    await withdrawInTime(run, deps);
    return receipt;
  }
  if (state !== 'queued') {
    slot?.release();
    return receipt;
  }
  const { submitter } = deps;
  if (submitter === undefined) {
    wakeSubmission(deps);
    return receipt;
  }
  const waitMs = options.awaitSubmissionMs;
  const settled = waitMs > 0 ? submitter.settled(runId, waitMs) : undefined;
  bringToCluster(run, receipt, { ...deps, submitter }, slot);
  return settled === undefined ? receipt : { ...receipt, ...((await settled) ?? (await lookAgain(runId, deps))) };
}

/** Takes a place at the cluster first, where there is one, so that the run is recorded as claimed. */
async function recordInSlot(
  run: NewRun,
  givenUp: AbortSignal | undefined,
  deps: Parts,
): Promise<{ receipt: RunReceipt; slot: Slot | undefined }> {
  const slot = run.state === 'queued' ? deps.submitter?.takeSlot() : undefined;
  try {
    const receipt = await deps.recorder.record(run, slot !== undefined, givenUp);
    const { runId, deliveryId, duplicate, workflowName } = receipt;
    const facts = { ...traceField(run.traceparent), runId, deliveryId, workflow: workflowName, door: run.door };
    deps.logger.info({ ...facts, duplicate }, 'run recorded');
    if (run.message !== undefined && !duplicate) {
      void deps.announcements.messagesDue();
    }
    return { receipt, slot };
  } catch (error) {
    slot?.release();
    throw error;
  }
}

function isUnwanted({ duplicate }: RunReceipt, { givenUp }: AcceptOptions): boolean {
  return givenUp?.aborted === true && !duplicate;
}

/** Another process may have brought the run to the cluster meanwhile; all answers to one delivery should agree. */
async function lookAgain(runId: string, { db, logger }: DispatchDeps): Promise<Partial<RunReceipt>> {
  try {
    return (await findSubmission(db, runId)) ?? {};
  } catch (error) {
    // The run is recorded, which is what the answer promises.
    logger.warn({ runId, error: errorMessage(error) }, 'the run could not be looked at again');
    return {};
  }
}

/** At once in the slot that was taken for it; or else in its turn. A duplicate is for whoever recorded it first. */
function bringToCluster(
  run: NewRun,
  receipt: RunReceipt,
  deps: WakeDeps & { readonly submitter: Submitter },
  slot: Slot | undefined,
): void {
  if (receipt.duplicate) {
    slot?.release();
    deps.submitter.nudge();
    return;
  }
  if (slot === undefined) {
    wakeSubmission(deps);
    return;
  }
  deps.submitter.submit(claimOf(run, receipt), slot);
}

/** A run that was recorded just now, with the claim that this process then has. */
function claimOf({ traceparent, plan }: NewRun, receipt: RunReceipt): ClaimedRun {
  const fresh = { state: 'queued', workflowUid: '', cancelRequestedBy: '', attempts: 1 } as const;
  return { ...receipt, ...fresh, traceparent, plan };
}

/** Each UTF-16 unit takes at most 6 bytes as JSON, so that only large plans need to be measured exactly. */
function refuseOversized(run: NewRun): void {
  if (roughLength(run.plan) * 6 < MAX_WORKFLOW_BYTES) {
    return;
  }
  const identity = { ...run, runId: '00000000-0000-0000-0000-000000000000', workflowName: 'x'.repeat(63) };
  const bytes = Buffer.byteLength(JSON.stringify(workflowManifest(run.plan, identity)));
  if (bytes > MAX_WORKFLOW_BYTES) {
    throw new Refusal('too_large', `the workflow would take ${bytes} bytes; Argo takes ${MAX_WORKFLOW_BYTES}`);
  }
}

function roughLength(plan: WorkflowPlan): number {
  let length = 4096;
  for (const [name, value] of Object.entries(plan.parameters)) {
    length += name.length + value.length + 32;
  }
  for (const [name, value] of Object.entries(plan.annotations)) {
    length += name.length + value.length;
  }
  return length;
}
