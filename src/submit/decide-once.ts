import { fieldsOf } from '../base/json.ts';
import { isArgoError } from '../clients/argo/errors.ts';
import { endNode, endPackedNode, whyLapsed, type NodeEnd, type WaitingAt } from '../clients/argo/node-decision.ts';
import { createTemplates } from '../clients/argo/stored-template.ts';
import { areUnseen, createIsOnExit, readNodes, stringOf } from '../clients/argo/workflow-nodes.ts';
import type { ArgoClient, Workflow } from '../clients/argo/workflows.ts';
import type { ClaimedDecision } from '../ledger/approval-queue.ts';
import { CANCELED, endsWaiting, whyOver } from '../domain/approval.ts';
import { argoText } from '../domain/argo-text.ts';
import { reasonOf, requestedWait } from './creation.ts';

/** The result of an attempt to write a decision into its workflow. */
type Application =
  | { readonly kind: 'applied' }
  /** The node no longer waits, for another reason. */
  | { readonly kind: 'gone'; readonly reason: string }
  | { readonly kind: 'postponed'; readonly reason: string; readonly afterMs: number };

/** In milliseconds. */
export const CALL_TIMEOUT_MS = 5000;
/** How many times in a row a write of packed nodes may lose to other changes of the workflow. */
const PACKED_TRIES = 5;

type DecideWorkflows = Pick<ArgoClient, 'getWorkflow' | 'patchWorkflow' | 'patchWorkflowIf'>;

/**
 * Writes a decision into its node if that still waits. The node shows whether the write succeeded, not the response: an earlier
 * attempt may have succeeded although its response was lost.
 */
export async function decideOnce(decision: ClaimedDecision, workflows: DecideWorkflows): Promise<Application> {
  try {
    return await decide(decision, workflows);
  } catch (error) {
    if (isArgoError(error, 'argo.not_found')) {
      return goneUnseen('the workflow no longer exists', decision);
    }
    return {
      kind: 'postponed',
      reason: reasonOf(error),
      afterMs: requestedWait(error),
    };
  }
}

/** If the step can no longer be read, the result of an earlier attempt is unknown. */
function goneUnseen(reason: string, { attempts }: ClaimedDecision): Application {
  return {
    kind: 'gone',
    reason: attempts > 1 ? `${reason}; it is unknown whether the decision had reached it` : reason,
  };
}

async function decide(decision: ClaimedDecision, workflows: DecideWorkflows): Promise<Application> {
  const { namespace, workflowName } = decision;
  const options = { timeoutMs: CALL_TIMEOUT_MS };
  if (decision.dropped) {
    return judge(await workflows.getWorkflow(namespace, workflowName, options), decision);
  }
  const [at, end] = [whereOf(decision), endOf(decision)];
  let refusal = '';
  try {
    return judge(await workflows.patchWorkflowIf(namespace, workflowName, endNode(at, end), options), decision);
  } catch (error) {
    if (!isRefusal(error)) {
      throw error;
    }
    refusal = reasonOf(error);
  }
  for (let attempt = 1; ; attempt += 1) {
    const current = await workflows.getWorkflow(namespace, workflowName, options);
    const patch = waits(current, decision) ? endPackedNode(current, at, end) : undefined;
    if (patch === undefined) {
      return judge(current, decision, refusal);
    }
    try {
      return judge(await workflows.patchWorkflow(namespace, workflowName, patch, options), decision);
    } catch (error) {
      if (!isRefusal(error) || attempt === PACKED_TRIES) {
        throw error;
      }
    }
  }
}

/** The cluster processed the patch and rejected it. */
function isRefusal(error: unknown): boolean {
  return isArgoError(error, 'argo.invalid') || isArgoError(error, 'argo.conflict');
}

/**
 * The state of the decision according to the workflow itself.
 *
 * @param refusal the cluster's reason for refusing a patch, such as the message of an admission policy
 */
function judge(
  workflow: Workflow,
  decision: ClaimedDecision,
  refusal = 'the cluster ignored the decision',
): Application {
  const { metadata, status } = workflow;
  if (metadata.uid !== decision.workflowUid) {
    return goneUnseen('another workflow has its name', decision);
  }
  const seen = fieldsOf(status);
  const nodes = readNodes(seen);
  const node = nodes.get(decision.nodeId);
  const { phase, message } = endOf(decision);
  if (node === undefined) {
    const isUnseen = areUnseen(nodes, seen);
    return goneUnseen(isUnseen ? whyOver({ ...NOT_OVER, isUnseen }) : 'the step no longer exists', decision);
  }
  if (node.phase === phase && node.message === message) {
    return { kind: 'applied' };
  }
  if (waits(workflow, decision)) {
    // Even if the decision was dropped, its write may still arrive: a server that hung can process requests that clients gave up
    // on.
    return { kind: 'postponed', reason: refusal, afterMs: 0 };
  }
  const lapsed = whyLapsed(node, createTemplates(nodes, seen)(node));
  return {
    kind: 'gone',
    reason: decision.dropped ? CANCELED : lapsed || endOfWaiting(workflow, createIsOnExit(nodes)(node)),
  };
}

function endOfWaiting({ spec, status }: Workflow, onExit: boolean): string {
  const { phase } = fieldsOf(status);
  const isStopping = endsWaiting(stringOf(fieldsOf(spec)['shutdown']), { onExit, isLive: phase === 'Running' });
  return whyOver({ ...NOT_OVER, hasFailed: FAILED.has(phase), isStopping });
}

const NOT_OVER = { hasFailed: false, isStopping: false, isUnseen: false } as const;

const FAILED: ReadonlySet<unknown> = new Set(['Failed', 'Error']);

/** Whether the node still waits as it did at the decision. Nothing waits in a workflow that has ended. */
function waits({ metadata, status }: Workflow, { workflowUid, nodeId, startedAt }: ClaimedDecision): boolean {
  const seen = fieldsOf(status);
  const node = readNodes(seen).get(nodeId);
  const isSame = metadata.uid === workflowUid && node?.raw['startedAt'] === startedAt;
  return isSame && node.type === 'Suspend' && node.phase === 'Running' && seen['phase'] === 'Running';
}

function whereOf({ workflowUid, nodeId, startedAt }: ClaimedDecision): WaitingAt {
  return { workflowUid, nodeId, startedAt };
}

/**
 * A rejection fails the node, unless it has outputs: then the template decides by their values. The text identifies this
 * decision, so it must be the same on every attempt. It must not contain a template tag, because an exit handler may read it as
 * `{{workflow.failures}}`.
 */
function endOf({ verdict, decidedBy, reason, decidedAt, outputs }: ClaimedDecision): NodeEnd {
  const message = argoText(`${verdict} by ${decidedBy}${reason === '' ? '' : `: ${reason}`}`);
  const succeeds = verdict === 'approved' || Object.keys(outputs).length > 0;
  return { phase: succeeds ? 'Succeeded' : 'Failed', message, finishedAt: decidedAt, outputs };
}
