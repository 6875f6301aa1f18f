import { fieldsOf, isRecord } from '../base/json.ts';
import { isArgoError } from '../clients/argo/errors.ts';
import { endNode, endPackedNode, whyLapsed, type NodeEnd, type WaitingAt } from '../clients/argo/node-decision.ts';
import { createTemplates } from '../clients/argo/stored-template.ts';
import { areUnseen, readNodes, stringOf } from '../clients/argo/workflow-nodes.ts';
import type { ArgoClient, Workflow } from '../clients/argo/workflows.ts';
import type { ClaimedDecision } from '../ledger/approval-queue.ts';
import { CANCELED, whyOver } from '../domain/approval.ts';
import { argoText } from '../domain/argo-text.ts';
import { reasonOf, requestedWait } from './creation.ts';

/** The result of an attempt to write a decision into its workflow. */
type Application =
  | { readonly kind: 'applied' }
  /** The node does not wait any more, for another reason. */
  | { readonly kind: 'gone'; readonly reason: string }
  | { readonly kind: 'postponed'; readonly reason: string; readonly afterMs: number };

/** In milliseconds. */
export const CALL_TIMEOUT_MS = 5000;
/** Writes of packed nodes in a row that other changes of the workflow may overtake. */
const PACKED_TRIES = 5;

type DecideWorkflows = Pick<ArgoClient, 'getWorkflow' | 'patchWorkflow' | 'patchWorkflowIf'>;

/**
 * Writes a decision into its node, if that still waits. Whether it is done shows in the node, never in an answer: an earlier
 * attempt may have succeeded although its answer was lost.
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

/** Where the step cannot be read any more, nobody can tell what became of an earlier attempt. */
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

/** The cluster looked at the patch, and did nothing. */
function isRefusal(error: unknown): boolean {
  return isArgoError(error, 'argo.invalid') || isArgoError(error, 'argo.conflict');
}

/**
 * What the workflow itself says of the decision.
 *
 * @param refusal what the cluster said of a patch that it refused, such as the message of an admission policy
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
    // Of one that was dropped a write may still arrive: a server that hung takes up what its clients have given up.
    return { kind: 'postponed', reason: refusal, afterMs: 0 };
  }
  const lapsed = whyLapsed(node, createTemplates(nodes, seen)(node));
  return { kind: 'gone', reason: decision.dropped ? CANCELED : lapsed || endOfWaiting(workflow) };
}

function endOfWaiting({ spec, status }: Workflow): string {
  const phase = isRecord(status) ? status['phase'] : undefined;
  const isStopping = phase === 'Running' && isRecord(spec) && stringOf(spec['shutdown']) !== '';
  return whyOver({ ...NOT_OVER, hasFailed: FAILED.has(phase), isStopping });
}

const NOT_OVER = { hasFailed: false, isStopping: false, isUnseen: false } as const;

const FAILED: ReadonlySet<unknown> = new Set(['Failed', 'Error']);

/** Whether the node still waits as it did when it was decided. A workflow that is over lets nothing wait. */
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
 * A rejection fails the node, unless its outputs say that the template decides by their value. The text identifies this
 * decision, so it must be the same on every attempt. An exit handler may read it as `{{workflow.failures}}`, so it must
 * hold no tag.
 */
function endOf({ verdict, decidedBy, reason, decidedAt, outputs }: ClaimedDecision): NodeEnd {
  const message = argoText(`${verdict} by ${decidedBy}${reason === '' ? '' : `: ${reason}`}`);
  const succeeds = verdict === 'approved' || Object.keys(outputs).length > 0;
  return { phase: succeeds ? 'Succeeded' : 'Failed', message, finishedAt: decidedAt, outputs };
}
