import type { Clock } from '../base/clock.ts';
import { errorMessage, FacteurError } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import type { Timer } from '../base/timer.ts';
import { newTraceparent } from '../base/traceparent.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Sessions } from '../clients/sessions/sessions.ts';
import type { ArgoConfig, CodexConfig } from '../config/config.ts';
import type { CodexDelivery } from '../domain/codex-delivery.ts';
import type { Command } from '../domain/command.ts';
import { definitionOf, ruledName, type RuleSource } from '../domain/command-rules.ts';
import { Refusal } from '../domain/refusal.ts';
import type { FeedbackWork } from '../domain/feedback.ts';
import type { RunState } from '../domain/run-state.ts';
import type { NewRun, RunReceipt } from '../domain/run.ts';
import { MAX_MANIFEST_BYTES, storedBytes, workflowManifest } from '../domain/workflow-manifest.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';
import { findForRetry, requestCancel } from '../ledger/cancel-and-retry.ts';
import type { Announcements } from '../ledger/due-work.ts';
import { findSubmission } from '../ledger/find-runs.ts';
import { FIRST_FENCE } from '../ledger/record-run.ts';
import { createRunRecorder, type RunRecorder } from '../ledger/run-recorder.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';
import type { Slot } from '../submit/slots.ts';
import type { Submission, Submitter } from '../submit/submitter.ts';
import type { DispatchEvents } from './dispatch-events.ts';
import { followUpOf, wishesOf, type EventFollowUps } from './follow-ups.ts';
import { codexRun, commandRun } from './new-run.ts';
import { requirePermission } from './authorise.ts';
import { feedbackRun } from './plan-feedback.ts';
import { planCodexTask } from './plan-codex.ts';
import { planCommand } from './plan-command.ts';
import { commandTitle } from './request-title.ts';
import { MAX_PARAMETER_BYTES } from '../knowledge/compose.ts';
import { renewedPlan, retryOf, type RetryRequest } from './retry.ts';
import { withdrawInTime } from './withdraw.ts';

export interface AcceptOptions {
  /** How long to wait for the submission before answering, in milliseconds; 0 answers once it is recorded. */
  readonly awaitSubmissionMs: number;
  /**
   * For senders who retry with another delivery id after a failure. If the run was recorded anyway, after this was aborted or
   * although the database's response was lost, it is canceled and not submitted.
   */
  readonly givenUp?: AbortSignal;
  /** Records the run instead of the recorder that all doors share. */
  readonly recorder?: Pick<RunRecorder, 'record'>;
}

type RetryOptions = AcceptOptions & RetryRequest;

/** The use case behind every door: authorize, plan, record, and submit. */
export interface Dispatch {
  /**
   * @throws Refusal if it may never run
   * @throws DatabaseError `postgres.unavailable` or `postgres.broken` if it could not be recorded: nothing happened,
   * retry
   */
  command(command: Command, options: AcceptOptions): Promise<RunReceipt>;
  /** The same for a Codex task. */
  codexTask(delivery: CodexDelivery, options: AcceptOptions): Promise<RunReceipt>;
  /** The same for follow-up work based on what runs taught. The same work is recorded once. */
  feedback(work: FeedbackWork, options: AcceptOptions): Promise<RunReceipt>;
  /**
   * Retries a finished run as a new, linked run.
   *
   * @throws FacteurError `run.unknown`, `run.not_retryable`
   * @throws Refusal `command_changed` if its template has changed and no longer accepts the request
   */
  retry(runId: string, options: RetryOptions): Promise<RunReceipt>;
  /**
   * Cancels a live run; an ended run does not change.
   *
   * @returns its previous state
   * @throws FacteurError `run.unknown`
   */
  cancel(runId: string, actor: string): Promise<RunState>;
}

export interface DispatchDeps extends RuleSource {
  readonly db: Database;
  /** Runs are recorded as `skipped` and never submitted. */
  readonly disabled: boolean;
  /** Absent if another process submits. */
  readonly submitter: Submitter | undefined;
  readonly sessions: Pick<Sessions, 'rememberDispatch'>;
  /** Present if events with an interaction token get follow-ups. */
  readonly followUps?: EventFollowUps;
  /** Woken when a run is recorded or canceled here. */
  readonly wakes: Pick<Announcements, 'runsDue' | 'messagesDue' | 'approvalsDue'>;
  readonly events: DispatchEvents;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly newId: () => string;
  readonly logger: Logger;
  readonly argo: ArgoConfig;
  /** Workflows receive a token for reporting back. */
  readonly reports?: boolean;
  readonly codex: CodexConfig;
}

interface Parts extends DispatchDeps {
  readonly recorder: RunRecorder;
}

export function createDispatch(given: DispatchDeps): Dispatch {
  const deps: Parts = { ...given, recorder: createRunRecorder(given.db, given.timer) };
  const moment = () => ({
    acceptedAt: deps.clock.now(),
    state: deps.disabled ? ('skipped' as const) : ('queued' as const),
  });
  const traced = <T extends { readonly traceparent: string }>(asked: T): T => ({
    ...asked,
    traceparent: asked.traceparent || newTraceparent(deps.newId),
  });
  return {
    command: (sent, options) =>
      deps.events.command(sent, async (asked) => {
        const rules = deps.rules();
        const definition = definitionOf(rules, asked.name);
        await requirePermission(asked, { db: deps.db, rules });
        // The command runs under the name that was authorized.
        const command = { ...asked, name: ruledName(asked.name, rules) };
        const plan = planCommand(command, definition, deps.argo);
        const followUp = followUpOf(command, definition?.ephemeral ?? false, deps.followUps);
        if (followUp !== undefined && command.interaction !== undefined) {
          // Started before the row exists, but not awaited: a notifier that does not find the token yet looks again.
          void deps.followUps?.keepToken(command.interactionId, command.interaction.token);
        }
        const run = commandRun(traced(command), plan, {
          ...moment(),
          title: commandTitle(command.options, definition),
          ...(followUp && { followUp: { ...followUp, ...wishesOf(command, definition, rules) } }),
        });
        const receipt = await accept(run, options, deps);
        remember({ userId: command.principal.userId, traceId: command.traceId }, receipt, deps.sessions);
        return receipt;
      }),
    codexTask: (delivery, options) =>
      deps.events.codexTask(delivery, async (asked) => {
        const plan = planCodexTask(asked.task, deps.codex, deps.argo, asked.actor);
        return accept(codexRun(traced(asked), plan, moment()), options, deps);
      }),
    feedback: (work, options) => accept(feedbackRun(traced(work), deps.argo, moment()), options, deps),
    retry: (runId, options) =>
      deps.events.retry(runId, async () => {
        const run = await findForRetry(deps.db, runId);
        if (run === undefined) {
          throw new FacteurError('run.unknown', 'the run is archived or unknown', { retryable: false });
        }
        const plan = renewedPlan(run, deps.rules(), deps.argo);
        const again = retryOf(traced({ ...run, plan }), moment(), options);
        const receipt = await accept(again, options, deps);
        remember({ userId: again.userId, traceId: '' }, receipt, deps.sessions);
        return receipt;
      }),
    async cancel(runId, actor) {
      const asked = await requestCancel(deps.db, runId, actor);
      if (asked === undefined) {
        throw new FacteurError('run.unknown', 'unknown run', { retryable: false });
      }
      void deps.wakes.runsDue();
      if (asked.messageChanged) {
        void deps.wakes.messagesDue();
      }
      if (asked.asksChanged) {
        void deps.wakes.approvalsDue();
      }
      return asked.state;
    },
  };
}

/** For `/status` and `/review`, in the Go service's format. Not awaited: sessions never affect a run. */
function remember(
  { userId, traceId }: { readonly userId: string; readonly traceId: string },
  receipt: RunReceipt,
  sessions: Pick<Sessions, 'rememberDispatch'>,
): void {
  if (userId !== '' && !receipt.duplicate && receipt.state !== 'refused') {
    const { namespace, workflowName, correlationId } = receipt;
    const message =
      receipt.state === 'skipped'
        ? 'dispatcher disabled'
        : `Workflow \`${workflowName}\` submitted to namespace \`${namespace}\`.`;
    void sessions.rememberDispatch(userId, {
      namespace,
      workflowName,
      message,
      correlationId,
      traceId,
    });
  }
}

async function accept(run: NewRun, options: AcceptOptions, deps: Parts): Promise<RunReceipt> {
  refuseOversized(run, deps.reports === true);
  const { receipt, slot } = await recordInSlot(run, options, deps);
  const { runId, state } = receipt;
  if (isUnwanted(receipt, options)) {
    slot?.release();
    await withdrawInTime({ ...run, claimed: slot !== undefined }, deps);
    return receipt;
  }
  if (state !== 'queued') {
    slot?.release();
    return receipt;
  }
  const { submitter } = deps;
  if (submitter === undefined) {
    void deps.wakes.runsDue();
    return receipt;
  }
  const waitMs = options.awaitSubmissionMs;
  const settled = waitMs > 0 ? submitter.settled(runId, waitMs) : undefined;
  bringToCluster(run, receipt, { ...deps, submitter }, slot);
  return settled === undefined ? receipt : endOf(receipt, await resultOf(receipt, settled, { ...deps, submitter }));
}

/** When a duplicate checks again for the work of another replica, in milliseconds: a create with its mark rarely takes longer. */
const PEER_MS = 250;

/** The result of the attempt, here or in another process. */
async function resultOf(
  { runId, duplicate }: RunReceipt,
  settled: Promise<Submission | undefined>,
  deps: DispatchDeps & { readonly submitter: Submitter },
): Promise<Partial<Submission>> {
  // A mark may have been written since the receipt was read, or another replica may write it soon: then no attempt ends here.
  for (const ended of duplicate ? [undefined, deps.submitter.settled(runId, PEER_MS)] : []) {
    const seen = (await ended) ?? (await lookAgain(runId, deps));
    if ((seen.state ?? 'queued') !== 'queued') {
      return seen;
    }
  }
  return (await settled) ?? (await lookAgain(runId, deps));
}

/**
 * The receipt with the result of the first attempt. A delivery whose workflow the Go service had already created counts as a
 * redelivery. If the correlation id is the workflow's name, both change together.
 */
function endOf(receipt: RunReceipt, { takenOver, ...ended }: Partial<Submission>): RunReceipt {
  const { workflowName = receipt.workflowName } = ended;
  const isNamedAlike = receipt.correlationId === receipt.workflowName;
  return {
    ...receipt,
    ...ended,
    correlationId: isNamedAlike ? workflowName : receipt.correlationId,
    duplicate: receipt.duplicate || takenOver === true,
  };
}

/** Takes a slot first, if there is one, so the run is recorded with a claim. */
async function recordInSlot(
  run: NewRun,
  { givenUp, recorder }: AcceptOptions,
  deps: Parts,
): Promise<{ receipt: RunReceipt; slot: Slot | undefined }> {
  const slot = run.state === 'queued' ? deps.submitter?.takeSlot() : undefined;
  try {
    const receipt = await (recorder ?? deps.recorder).record(run, slot !== undefined, givenUp);
    deps.events.runRecorded(run, receipt);
    if (run.message !== undefined && !receipt.duplicate) {
      void deps.wakes.messagesDue();
    }
    return { receipt, slot };
  } catch (error) {
    slot?.release();
    if (givenUp !== undefined) {
      void withdrawInTime({ ...run, claimed: slot !== undefined }, deps);
    }
    throw error;
  }
}

function isUnwanted({ duplicate }: RunReceipt, { givenUp }: AcceptOptions): boolean {
  return givenUp?.aborted === true && !duplicate;
}

/** Another process may have submitted the run meanwhile; all answers to one delivery should agree. */
async function lookAgain(runId: string, { db, logger }: DispatchDeps): Promise<Partial<Submission>> {
  try {
    return (await findSubmission(db, runId)) ?? {};
  } catch (error) {
    // The run is recorded, which is all that the response promises.
    logger.warn({ runId, error: errorMessage(error) }, 'could not read the run again');
    return {};
  }
}

/**
 * Submits the run immediately in its slot, or otherwise announces that it is due. A duplicate belongs to the process that
 * recorded it first.
 */
function bringToCluster(
  run: NewRun,
  receipt: RunReceipt,
  deps: Pick<DispatchDeps, 'wakes'> & { readonly submitter: Submitter },
  slot: Slot | undefined,
): void {
  if (receipt.duplicate) {
    slot?.release();
    deps.submitter.nudge();
    return;
  }
  if (slot === undefined) {
    void deps.wakes.runsDue();
    return;
  }
  deps.submitter.submit(claimOf(run, receipt), slot);
}

/** The claim that this process has on a run it has just recorded. */
function claimOf({ traceparent, plan }: NewRun, receipt: RunReceipt): ClaimedRun {
  const fresh = {
    state: 'queued',
    workflowUid: '',
    cancelRequestedBy: '',
    attempts: 1,
    fence: FIRST_FENCE,
    refusedForMs: 0,
  } as const;
  const deliveryId = receipt.recordedId ?? receipt.deliveryId;
  return { ...receipt, ...fresh, deliveryId, traceparent, plan };
}

/** The maximum size of the two parameters with which a workflow reports back. */
const REPORT_BYTES = 1024;
/** The maximum size of the parameter with reflections. */
const REFLECTION_BYTES = MAX_PARAMETER_BYTES + 64;

/**
 * Includes what is added when the workflow is created: an accepted run must still fit then.
 *
 * Each UTF-16 unit takes at most 6 bytes as stored by the cluster, so only large plans need to be measured exactly.
 */
function refuseOversized(run: NewRun, reports: boolean): void {
  const reserve =
    (reports && run.plan.report !== false ? REPORT_BYTES : 0) +
    (run.plan.knowledge === undefined ? 0 : REFLECTION_BYTES);
  if (roughLength(run.plan) * 6 + reserve < MAX_MANIFEST_BYTES) {
    return;
  }
  const identity = { ...run, runId: '00000000-0000-0000-0000-000000000000', workflowName: 'x'.repeat(63) };
  const bytes = storedBytes(JSON.stringify(workflowManifest(run.plan, identity))) + reserve;
  if (bytes > MAX_MANIFEST_BYTES) {
    const limit = `the limit is ${MAX_MANIFEST_BYTES} (450 KiB), because Argo stores the arguments twice`;
    throw new Refusal('too_large', `the workflow would take ${bytes} bytes; ${limit}`);
  }
}

function roughLength(plan: WorkflowPlan): number {
  let length = 4096;
  for (const [name, value] of Object.entries(plan.parameters)) {
    length += name.length + value.length + 32;
  }
  for (const values of Object.values(plan.enums ?? {})) {
    length += values.reduce((sum, value) => sum + value.length + 8, 0);
  }
  for (const [name, value] of Object.entries(plan.annotations)) {
    length += name.length + value.length;
  }
  return length;
}
