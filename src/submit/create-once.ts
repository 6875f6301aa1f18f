import { isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import { workflowManifest } from '../domain/workflow-manifest.ts';
import { workflowName } from '../domain/workflow-name.ts';
import { renameRun, type ClaimedRun } from '../ledger/submission-queue.ts';
import { findOurs, reasonOf } from './our-workflow.ts';
import { judgeCreateFailure } from './verdict.ts';

/** What came of trying to have the run's workflow in the cluster. */
export type Creation =
  /** It is there. The uid is empty when it was there and had gone before it could be read. */
  | { readonly kind: 'created'; readonly workflowName: string; readonly workflowUid: string }
  | { readonly kind: 'refused'; readonly workflowName: string; readonly reason: string }
  | {
      readonly kind: 'postponed';
      readonly workflowName: string;
      readonly reason: string;
      readonly overloaded: boolean;
      readonly afterMs?: number;
    };

export interface CreateOnceDeps {
  readonly db: Database;
  readonly workflows: Pick<ArgoClient, 'createWorkflow' | 'getWorkflow'>;
}

/** How long one create may take. Well under the claim, so that two processes never try at the same time. */
const CREATE_TIMEOUT_MS = 10_000;
/** Foreign objects under our names are freak events; after this many the run waits for its next turn. */
const MAX_NAMES = 4;

/**
 * Creates the workflow under its reserved name. A name that is taken is looked at: with our delivery label it is ours
 * (an earlier answer was lost), otherwise the run gets another name.
 */
export async function createOnce(run: ClaimedRun, deps: CreateOnceDeps): Promise<Creation> {
  let name = run.workflowName;
  for (let salt = 1; salt <= MAX_NAMES; salt += 1) {
    const creation = await tryName(run, name, deps);
    if (creation !== 'foreign') {
      return creation;
    }
    const next = workflowName(run.plan.namePrefix, run.acceptedAt, run.deliveryId, salt);
    if (next !== name && !(await renameRun(deps.db, run.runId, name, next))) {
      return {
        kind: 'postponed',
        workflowName: name,
        reason: 'another process went on with this run',
        overloaded: false,
      };
    }
    name = next;
  }
  const reason = 'foreign workflows have all the names that were tried';
  return { kind: 'postponed', workflowName: name, reason, overloaded: false };
}

async function tryName(run: ClaimedRun, name: string, deps: CreateOnceDeps): Promise<Creation | 'foreign'> {
  try {
    const manifest = workflowManifest(run.plan, { ...run, workflowName: name });
    const created = await deps.workflows.createWorkflow(run.plan.namespace, manifest, { timeoutMs: CREATE_TIMEOUT_MS });
    return { kind: 'created', workflowName: name, workflowUid: created.metadata?.uid ?? '' };
  } catch (error) {
    const verdict = judgeCreateFailure(error);
    switch (verdict.kind) {
      case 'exists':
        return lookAtExisting(run, name, deps);
      case 'refuse':
        return { kind: 'refused', workflowName: name, reason: verdict.reason };
      case 'retry':
        return { ...verdict, kind: 'postponed', workflowName: name };
    }
  }
}

async function lookAtExisting(run: ClaimedRun, name: string, deps: CreateOnceDeps): Promise<Creation | 'foreign'> {
  try {
    const workflowUid = await findOurs(run, name, deps.workflows);
    if (workflowUid !== undefined) {
      return { kind: 'created', workflowName: name, workflowUid };
    }
    return 'foreign';
  } catch (error) {
    if (isArgoError(error, 'argo.not_found')) {
      // It was there a moment ago. After an earlier try it may have been ours, and a second one must never be made.
      return run.attempts > 1 ? { kind: 'created', workflowName: name, workflowUid: '' } : 'foreign';
    }
    return { kind: 'postponed', workflowName: name, reason: reasonOf(error), overloaded: false };
  }
}
