import { isRecord } from '../base/json.ts';
import { ArgoError, isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient, Workflow } from '../clients/argo/workflows.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';
import { findOurs, reasonOf, requestedWait } from './creation.ts';

/** The result of stopping a run. */
type Ending =
  /** The run never reached the cluster, and never will. */
  | { readonly kind: 'never_created' }
  /** The workflow was created although the response was lost; it still needs to be stopped. */
  | { readonly kind: 'found'; readonly workflowUid: string }
  /** The cluster accepted the stop, or no longer has the workflow. */
  | { readonly kind: 'told' }
  | { readonly kind: 'postponed'; readonly reason: string; readonly afterMs: number };

const CALL_TIMEOUT_MS = 5000;

type StopWorkflows = Pick<ArgoClient, 'getWorkflow' | 'patchWorkflow'>;

/**
 * Ends a run in the cluster: `spec.shutdown: Stop` lets exit handlers run, as `argo stop` does. Because of the uid in the patch,
 * the cluster refuses if another workflow has the name by now. A workflow that has not started is terminated: the controller
 * handles a stopped one only when its limit of running workflows and the workflow's locks leave room for it.
 */
export async function stopOnce(run: ClaimedRun, workflows: StopWorkflows): Promise<Ending> {
  try {
    return run.state === 'queued' ? await lookForWorkflow(run, workflows) : await tellToStop(run, workflows);
  } catch (error) {
    return { kind: 'postponed', reason: reasonOf(error), afterMs: requestedWait(error) };
  }
}

async function lookForWorkflow(run: ClaimedRun, workflows: Pick<ArgoClient, 'getWorkflow'>): Promise<Ending> {
  if (run.attempts <= 1) {
    return { kind: 'never_created' };
  }
  try {
    const workflowUid = await findOurs(run, run.workflowName, workflows);
    return workflowUid === undefined ? { kind: 'never_created' } : { kind: 'found', workflowUid };
  } catch (error) {
    if (isArgoError(error, 'argo.not_found')) {
      return { kind: 'never_created' };
    }
    throw error;
  }
}

/** One patch, because the controller ignores a suspended workflow even if `shutdown` is set. */
const STOP = { shutdown: 'Stop', suspend: null } as const;
/** The phases of a workflow that has not started; at first there is none. */
const UNBEGUN: ReadonlySet<unknown> = new Set([undefined, '', 'Pending']);

async function tellToStop(run: ClaimedRun, workflows: StopWorkflows): Promise<Ending> {
  let uid = run.workflowUid;
  try {
    uid ||= (await findOurs(run, run.workflowName, workflows)) ?? '';
    if (uid !== '') {
      await shutDown(run, uid, workflows);
    }
  } catch (error) {
    // The cluster refused. Only the object itself shows whether another workflow has the name by now.
    const refused = error instanceof ArgoError && (!error.retryable || error.code === 'argo.conflict');
    if (!refused || !(await isGone(run, uid, workflows))) {
      throw error;
    }
  }
  return { kind: 'told' };
}

async function shutDown(run: ClaimedRun, uid: string, workflows: StopWorkflows): Promise<void> {
  const patch = (change: object): Promise<Workflow> =>
    workflows.patchWorkflow(run.plan.namespace, run.workflowName, change, { timeoutMs: CALL_TIMEOUT_MS });
  const { metadata, status } = await patch({ metadata: { uid }, spec: STOP });
  if (!isRecord(status) || UNBEGUN.has(status['phase'])) {
    // With the version, so it fails if the workflow has started since: a termination runs no exit handlers.
    const { resourceVersion } = metadata;
    await patch({ metadata: { uid, resourceVersion }, spec: { shutdown: 'Terminate' } });
  }
}

/** Whether the workflow with this uid is gone. */
async function isGone(run: ClaimedRun, uid: string, workflows: Pick<ArgoClient, 'getWorkflow'>): Promise<boolean> {
  try {
    const { metadata } = await workflows.getWorkflow(run.plan.namespace, run.workflowName, {
      timeoutMs: CALL_TIMEOUT_MS,
    });
    return uid !== '' && metadata.uid !== uid;
  } catch (error) {
    return isArgoError(error, 'argo.not_found');
  }
}
