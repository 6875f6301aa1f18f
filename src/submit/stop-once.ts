import { ArgoError, isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';
import { findOurs, reasonOf } from './creation.ts';

/** The result of stopping a run. */
type Ending =
  /** It never reached the cluster, and never will. */
  | { readonly kind: 'never_created' }
  /** It had reached the cluster although the answer was lost; it still needs to be stopped. */
  | { readonly kind: 'found'; readonly workflowUid: string }
  /** The cluster was told to stop it, or no longer has it. */
  | { readonly kind: 'told' }
  | { readonly kind: 'postponed'; readonly reason: string };

const CALL_TIMEOUT_MS = 5000;

type StopWorkflows = Pick<ArgoClient, 'getWorkflow' | 'patchWorkflow'>;

/**
 * Ends a run in the cluster: `spec.shutdown: Stop` lets exit handlers run, as `argo stop` does. The uid in the patch makes
 * the cluster refuse when another workflow has the name by now.
 */
export async function stopOnce(run: ClaimedRun, workflows: StopWorkflows): Promise<Ending> {
  try {
    return run.state === 'queued' ? await lookForWorkflow(run, workflows) : await tellToStop(run, workflows);
  } catch (error) {
    return { kind: 'postponed', reason: reasonOf(error) };
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

/** One patch, because the controller ignores a suspended workflow, even with `shutdown` set. */
const STOP = { shutdown: 'Stop', suspend: null } as const;

async function tellToStop(run: ClaimedRun, workflows: StopWorkflows): Promise<Ending> {
  const { namespace } = run.plan;
  let uid = run.workflowUid;
  try {
    uid ||= (await findOurs(run, run.workflowName, workflows)) ?? '';
    if (uid !== '') {
      const patch = { metadata: { uid }, spec: STOP };
      await workflows.patchWorkflow(namespace, run.workflowName, patch, { timeoutMs: CALL_TIMEOUT_MS });
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

/** Whether the workflow with this uid has gone. */
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
