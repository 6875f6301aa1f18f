import { ArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import { LABELS } from '../domain/workflow-plan.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';

const GET_TIMEOUT_MS = 3000;

/**
 * The uid of the workflow that has this name, when its delivery label says that it is this run's; nothing when it is
 * somebody else's.
 *
 * @throws ArgoError `argo.not_found` when no workflow has the name
 */
export async function findOurs(
  run: ClaimedRun,
  name: string,
  workflows: Pick<ArgoClient, 'getWorkflow'>,
): Promise<string | undefined> {
  const { metadata } = await workflows.getWorkflow(run.plan.namespace, name, { timeoutMs: GET_TIMEOUT_MS });
  const ours = metadata?.labels?.[LABELS.delivery] === deliveryLabel(run.deliveryId);
  return ours ? (metadata?.uid ?? '') : undefined;
}

/** Why a call to the cluster failed, in words for the user. */
export function reasonOf(error: unknown): string {
  return error instanceof ArgoError ? (error.details ?? error.message) : 'the cluster did not answer';
}
