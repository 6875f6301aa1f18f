import { isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';
import { findOurs, reasonOf } from './our-workflow.ts';

/** What came of ending a run that somebody wants ended. */
export type Ending =
  /** It never reached the cluster, and never will. */
  | { readonly kind: 'never_created' }
  /** It had reached the cluster although no answer had said so; it is still to be stopped. */
  | { readonly kind: 'found'; readonly workflowUid: string }
  /** The cluster was told, or has nothing left to tell. */
  | { readonly kind: 'told' }
  | { readonly kind: 'postponed'; readonly reason: string };

const CALL_TIMEOUT_MS = 5000;

/**
 * Ends a run in the cluster: `spec.shutdown: Stop` lets exit handlers run, as `argo stop` does. The uid in the patch makes
 * the cluster refuse when another workflow has the name by now.
 */
export async function stopOnce(
  run: ClaimedRun,
  workflows: Pick<ArgoClient, 'getWorkflow' | 'patchWorkflow'>,
): Promise<Ending> {
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

async function tellToStop(run: ClaimedRun, workflows: Pick<ArgoClient, 'patchWorkflow'>): Promise<Ending> {
  const patch = {
    spec: { shutdown: 'Stop' },
    ...(run.workflowUid === '' ? {} : { metadata: { uid: run.workflowUid } }),
  };
  try {
    await workflows.patchWorkflow(run.plan.namespace, run.workflowName, patch, { timeoutMs: CALL_TIMEOUT_MS });
  } catch (error) {
    if (!isArgoError(error, 'argo.not_found') && !isArgoError(error, 'argo.conflict')) {
      throw error;
    }
  }
  return { kind: 'told' };
}
