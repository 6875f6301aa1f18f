import { within } from '../base/within.ts';
import { isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import { failingNode } from '../follow/failing-step.ts';
import type { RunView } from '../ledger/find-runs.ts';
import { lastLines } from './log-lines.ts';
import { logPlaceOf } from './pod-name.ts';

/** What is known about why a run failed. */
export interface StepLog {
  /** `step: message` of the failing step, or whatever the ledger has; empty when nothing is known. */
  readonly reason: string;
  /** The step's last lines, safe to show; empty when there are none. */
  readonly lines: string;
  /**
   * Why there are no lines.
   *
   *   disabled    there is no cluster to ask
   *   gone        the workflow, the pod or its log is no longer there
   *   no_step     no step failed in a pod, or the workflow does not say which
   *   denied      the cluster does not let facteur read logs
   *   silent      the cluster does not answer, or not in time
   */
  readonly problem?: 'disabled' | 'gone' | 'no_step' | 'denied' | 'silent';
}

export interface StepLogDeps {
  /** Absent where there is no cluster to ask. */
  readonly workflows: Pick<ArgoClient, 'getWorkflow' | 'podLog'> | undefined;
}

/** Both requests together, in milliseconds: the person waits for the answer to a press. */
const PATIENCE_MS = 1500;
const TAIL_LINES = 20;
/** What fits a message beside the rest of it. */
const LIMITS = { lines: TAIL_LINES, chars: 1280 };

/** The end of the failing step's log, where the cluster lets us read it. Never rejects. */
export async function readStepLog(run: RunView, { workflows }: StepLogDeps): Promise<StepLog> {
  const { reason } = run;
  if (workflows === undefined) {
    return { reason, lines: '', problem: 'disabled' };
  }
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    const read = await within(PATIENCE_MS, readLines(run, workflows, signal));
    return { reason, ...(read.inTime ? read.value : { lines: '', problem: 'silent' }) };
  } catch (error) {
    return { reason, lines: '', problem: problemOf(error) };
  }
}

async function readLines(
  run: RunView,
  workflows: NonNullable<StepLogDeps['workflows']>,
  signal: AbortSignal,
): Promise<Pick<StepLog, 'lines' | 'problem'>> {
  const workflow = await workflows.getWorkflow(run.namespace, run.workflowName, { signal });
  // A workflow of the same name that is not ours says nothing about this run.
  if (run.workflowUid !== '' && workflow.metadata.uid !== run.workflowUid) {
    return { lines: '', problem: 'gone' };
  }
  const node = failingNode({ ...workflow.status });
  const place = node === undefined ? undefined : logPlaceOf({ ...workflow.metadata }, node);
  if (place === undefined) {
    return { lines: '', problem: 'no_step' };
  }
  const { pod, container } = place;
  const log = await workflows.podLog(run.namespace, pod, { container, tailLines: TAIL_LINES, signal });
  return { lines: lastLines(log, LIMITS) };
}

function problemOf(error: unknown): NonNullable<StepLog['problem']> {
  if (isArgoError(error, 'argo.forbidden') || isArgoError(error, 'argo.unauthorized')) {
    return 'denied';
  }
  return isArgoError(error, 'argo.not_found') || isArgoError(error, 'argo.invalid') ? 'gone' : 'silent';
}
