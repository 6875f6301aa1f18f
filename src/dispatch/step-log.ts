import type { Timer } from '../base/timer.ts';
import { within } from '../base/within.ts';
import { isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import { currentStep, lastStep, stepNamed } from '../clients/argo/current-step.ts';
import { readNodes, type WorkflowNode } from '../clients/argo/workflow-nodes.ts';
import { failingStep } from '../clients/argo/failing-step.ts';
import { isFinished } from '../domain/run-state.ts';
import type { RunView } from '../ledger/find-runs.ts';
import { lastLines } from '../clients/argo/log-lines.ts';
import { logPlaceOf } from '../clients/argo/pod-name.ts';

/** Why a run failed, or its current step, as far as known. */
export interface StepLog {
  /** Why the run ended, according to the ledger; empty if unknown or still running. */
  readonly reason: string;
  /** The name of the current step of a running run. */
  readonly step?: string;
  /** The step's last lines, safe to show; empty when there are none. */
  readonly lines: string;
  /**
   * Why there are no lines.
   *
   * disabled    there is no cluster
   * gone        the workflow, the pod or its log no longer exists
   * no_step     no step failed in a pod, or the workflow does not say which
   * denied      facteur has no permission to read logs
   * silent      the cluster does not answer, or not in time
   */
  readonly problem?: 'disabled' | 'gone' | 'no_step' | 'denied' | 'silent';
}

export interface StepLogDeps {
  /** Absent without a cluster. */
  readonly workflows: Pick<ArgoClient, 'getWorkflow' | 'podLog'> | undefined;
  readonly timer: Timer;
}

/** The limit for both requests together, in milliseconds: the user waits for the response to a press. */
const PATIENCE_MS = 1500;
const TAIL_LINES = 20;
/** Leaves room for the rest of the message. */
const MESSAGE_LIMITS = { lines: TAIL_LINES, chars: 1280 };

/** The limits for a terminal. */
export const LOG_LIMITS = { lines: 1000, chars: 256 * 1024 };

/** Which log to read, and how much of it. */
interface LogWish {
  /** The name of a step; if empty, the failing or the current step. */
  readonly step: string;
  readonly limits: { readonly lines: number; readonly chars: number };
}

const FOR_A_MESSAGE: LogWish = { step: '', limits: MESSAGE_LIMITS };

/** The end of the log of the failing or the current step, if the cluster allows reading it. Never rejects. */
export async function readStepLog(
  run: RunView,
  { workflows, timer }: StepLogDeps,
  wish: LogWish = FOR_A_MESSAGE,
): Promise<StepLog> {
  // The reason of a live run is why it cannot be canceled, not what its step reported.
  const reason = isFinished(run.state) ? run.reason : '';
  if (workflows === undefined) {
    return { reason, lines: '', problem: 'disabled' };
  }
  try {
    const read = await within(timer, PATIENCE_MS, (signal) => readLines(run, wish, { workflows, signal }));
    return { reason, ...(read.inTime ? read.value : { lines: '', problem: 'silent' }) };
  } catch (error) {
    return { reason, lines: '', problem: problemOf(error) };
  }
}

async function readLines(
  run: RunView,
  { step: wanted, limits }: LogWish,
  { workflows, signal }: { readonly workflows: NonNullable<StepLogDeps['workflows']>; readonly signal: AbortSignal },
): Promise<Pick<StepLog, 'step' | 'lines' | 'problem'>> {
  const workflow = await workflows.getWorkflow(run.namespace, run.workflowName, { signal });
  // Another workflow with the same name says nothing about this run.
  if (run.workflowUid !== '' && workflow.metadata.uid !== run.workflowUid) {
    return { lines: '', problem: 'gone' };
  }
  const status = { ...workflow.status };
  const node = wanted === '' ? tellingStep(run, status) : stepNamed(readNodes(status), wanted);
  const place = node === undefined ? undefined : logPlaceOf({ ...workflow.metadata }, node.raw);
  const step = node?.displayName ?? '';
  if (place === undefined) {
    return { step, lines: '', problem: 'no_step' };
  }
  const { pod, container } = place;
  const log = await workflows.podLog(run.namespace, pod, { container, tailLines: limits.lines, signal });
  return { step, lines: lastLines(log, limits) };
}

/** The step that people want to see: the current one, the one that failed, or the last one. */
function tellingStep({ state }: RunView, status: Readonly<Record<string, unknown>>): WorkflowNode | undefined {
  const nodes = readNodes(status);
  return (state === 'running' ? currentStep(nodes) : failingStep(status)?.node) ?? lastStep(nodes);
}

function problemOf(error: unknown): NonNullable<StepLog['problem']> {
  if (isArgoError(error, 'argo.forbidden') || isArgoError(error, 'argo.unauthorized')) {
    return 'denied';
  }
  return isArgoError(error, 'argo.not_found') || isArgoError(error, 'argo.invalid') ? 'gone' : 'silent';
}
