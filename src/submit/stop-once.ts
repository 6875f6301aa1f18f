import { isRecord } from '../base/json.ts';
import { ArgoError, isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient, Workflow } from '../clients/argo/workflows.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';
import { findOurs, reasonOf, requestedWait } from './creation.ts';

/** The result of stopping a run. */
type Ending =
  /** It never reached the cluster, and never will. */
  | { readonly kind: 'never_created' }
  /** It had reached the cluster although the answer was lost; it still needs to be stopped. */
  | { readonly kind: 'found'; readonly workflowUid: string }
  /** The cluster was told to stop it, or no longer has it. */
  | { readonly kind: 'told' }
  | { readonly kind: 'postponed'; readonly reason: string; readonly afterMs: number };

const CALL_TIMEOUT_MS = 5000;

type StopWorkflows = Pick<ArgoClient, 'getWorkflow' | 'patchWorkflow'>;

/**
 * Ends a run in the cluster: `spec.shutdown: Stop` lets exit handlers run, as `argo stop` does. The uid in the patch makes
 * the cluster refuse when another workflow has the name by now. A workflow that has not begun is terminated: the controller
 * looks at a stopped one only when there is room for it, by its limit of running workflows and by the workflow's locks.
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

/** One patch, because the controller ignores a suspended workflow, even with `shutdown` set. */
const STOP = { shutdown: 'Stop', suspend: null } as const;
/** What the controller calls a workflow of which it has run nothing; at first it says nothing. */
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
    // Not if it has begun since: a termination lets no exit handler run.
    const { resourceVersion } = metadata;
    await patch({ metadata: { uid, resourceVersion }, spec: { shutdown: 'Terminate' } });
  }
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
