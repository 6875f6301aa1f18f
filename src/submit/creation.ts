import { errorMessage } from '../base/errors.ts';
import { hideCredentials } from '../base/known-credentials.ts';
import { ArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import { ANNOTATIONS, LABELS } from '../domain/workflow-plan.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';

const GET_TIMEOUT_MS = 3000;

/**
 * The uid of the workflow with this name if its delivery label or its annotation identifies this run; undefined if it belongs to
 * another. The label alone is not enough: an admission policy may remove it, and the template's `workflowMetadata` may replace
 * it.
 *
 * @throws ArgoError `argo.not_found` when no workflow has the name
 */
export async function findOurs(
  run: ClaimedRun,
  name: string,
  workflows: Pick<ArgoClient, 'getWorkflow'>,
): Promise<string | undefined> {
  const { metadata } = await workflows.getWorkflow(run.plan.namespace, name, { timeoutMs: GET_TIMEOUT_MS });
  const ours =
    metadata?.labels?.[LABELS.delivery] === deliveryLabel(run.deliveryId) ||
    metadata?.annotations?.[ANNOTATIONS.runId] === run.runId;
  return ours ? (metadata?.uid ?? '') : undefined;
}

/**
 * Why a call to the cluster failed, in words for the user. It may quote the request, including the run's token, so it is
 * redacted.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof ArgoError)) {
    return hideCredentials(errorMessage(error));
  }
  const said = hideCredentials(error.details ?? error.message);
  return error.code === 'argo.quota' ? `waiting for room in the namespace's quota: ${said}` : said;
}

/** How long the cluster asked to wait before the next attempt, in milliseconds. */
export function requestedWait(error: unknown): number {
  return error instanceof ArgoError ? (error.retryAfterMs ?? 0) : 0;
}

/** The result of an attempt to create the run's workflow. */
export type Creation =
  /** The workflow exists. The uid is empty if it was deleted before it could be read. */
  | {
      readonly kind: 'created';
      readonly workflowName: string;
      readonly workflowUid: string;
      /** The Go service had created it. */
      readonly takenOver?: true;
    }
  | { readonly kind: 'refused'; readonly workflowName: string; readonly reason: string }
  | Postponed;

interface Postponed extends Setback {
  readonly kind: 'postponed';
  readonly workflowName: string;
}

/** A create that failed and may work later. Reasons are for the user. */
interface Setback {
  readonly reason: string;
  /** The cluster is overloaded or rejects all requests, so everything should slow down. */
  readonly overloaded: boolean;
  /** The cluster refused, which counts only if it keeps refusing. */
  readonly doubtful: boolean;
  /** Not an error: the cluster has no room at the moment. facteur never gives up such a run. */
  readonly full: boolean;
  readonly afterMs?: number;
  /** The cause behind the reason: internals of the cluster, only for operators. */
  readonly cause?: unknown;
}

/** A setback with only a reason. */
function setback(reason: string): Setback {
  return { reason, overloaded: false, doubtful: false, full: false };
}

export function postponed(name: string, reason: string): Postponed {
  return { kind: 'postponed', workflowName: name, ...setback(reason) };
}

/** Postpones because the cluster could not be reached or gave no clear answer. */
export function postponedBy(error: unknown, name: string): Postponed {
  const verdict = judgeCreateFailure(error, false);
  return verdict.kind === 'retry'
    ? { ...verdict, kind: 'postponed', workflowName: name }
    : postponed(name, reasonOf(error));
}

/** What a failed create means for the run. Reasons are for the user. */
type CreateVerdict =
  | (Setback & { readonly kind: 'retry' })
  | { readonly kind: 'exists' }
  | { readonly kind: 'refuse'; readonly reason: string };

/**
 * Decides by what the error means, never by the words of its message.
 *
 * @param believed the API server is ready, and has refused this run for long enough
 */
export function judgeCreateFailure(error: unknown, believed: boolean): CreateVerdict {
  const reason = reasonOf(error);
  if (!(error instanceof ArgoError)) {
    return { kind: 'retry', ...setback(reason) };
  }
  if (error.code === 'argo.already_exists') {
    return { kind: 'exists' };
  }
  const doubtful = error.outlook === 'if_ready';
  if (error.outlook === 'final' || (doubtful && believed)) {
    return { kind: 'refuse', reason };
  }
  const { overload: overloaded, retryAfterMs: afterMs } = error;
  const full = error.code === 'argo.quota';
  const more = {
    ...(afterMs === undefined ? {} : { afterMs }),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  };
  return { kind: 'retry', reason, overloaded, doubtful, full, ...more };
}
