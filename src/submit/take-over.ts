import type { Clock } from '../base/clock.ts';
import { isRecord } from '../base/json.ts';
import { trimmed } from '../base/trimmed.ts';
import { ArgoError, isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient, Workflow } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import { deliveryKey } from '../domain/delivery.ts';
import { workflowManifest } from '../domain/workflow-manifest.ts';
import { ISSUE_LABEL } from '../domain/workflow-plan.ts';
import { renameRun, type ClaimedRun } from '../ledger/submission-queue.ts';
import { postponed, postponedBy, type Creation } from './creation.ts';

interface TakeOverDeps {
  readonly clock: Clock;
  readonly db: Database;
  readonly workflows: Pick<ArgoClient, 'listWorkflows' | 'patchWorkflow'>;
}

/** Workflows per page: each may be large. */
const PAGE = 50;
const CALL_TIMEOUT_MS = 5_000;
/** A Go process that was just stopped may have created the workflow: it may appear until this long after the run was recorded. */
const APPEARS_WITHIN_MS = 30_000;

/**
 * Searches for the workflow of a delivery that the Go service recorded. That service does not store the name, and the delivery id
 * is only inside the task that the workflow carries. A workflow that is found gets the run's labels and is then followed like any
 * other. While the cluster does not answer, or the workflow may still appear, none is created.
 *
 * @returns undefined if there is none
 */
export async function takeOver(run: ClaimedRun, deps: TakeOverDeps): Promise<Creation | undefined> {
  if (!run.takenOver || run.state !== 'queued') {
    return undefined;
  }
  try {
    const found = await findWorkflow(run, deps.workflows);
    return found === undefined ? awaited(run, deps.clock) : await adopt(run, found, deps);
  } catch (error) {
    if (!(error instanceof ArgoError)) {
      throw error;
    }
    return postponedBy(error, run.workflowName);
  }
}

/** Undefined once it is certain that there is no workflow. */
function awaited(run: ClaimedRun, clock: Clock): Creation | undefined {
  const leftMs = APPEARS_WITHIN_MS - (clock.now().getTime() - run.acceptedAt.getTime());
  const reason = 'the Go service may still be creating the workflow';
  return leftMs <= 0
    ? undefined
    : { ...postponed(run.workflowName, reason), afterMs: Math.min(leftMs, APPEARS_WITHIN_MS) };
}

async function adopt(run: ClaimedRun, { metadata }: Workflow, deps: TakeOverDeps): Promise<Creation> {
  const { name: workflowName = '', uid: workflowUid = '' } = metadata ?? {};
  // Rename in the ledger first: the follower, which selects by label, must find the run under this name.
  if (workflowName !== run.workflowName && !(await renameRun(deps.db, run, workflowName))) {
    return postponed(run.workflowName, 'another process continued with this run');
  }
  await label({ ...run, workflowName }, workflowUid, deps.workflows);
  return { kind: 'created', workflowName, workflowUid, takenOver: true };
}

/** The newest match: the Go service forgot its deliveries after an hour, and created another workflow for a redelivery. */
async function findWorkflow(
  run: ClaimedRun,
  workflows: Pick<ArgoClient, 'listWorkflows'>,
): Promise<Workflow | undefined> {
  const issue = run.plan.labels[ISSUE_LABEL];
  const labelSelector = issue === undefined ? `!${ISSUE_LABEL}` : `${ISSUE_LABEL}=${issue}`;
  const options = { labelSelector, limit: PAGE, timeoutMs: CALL_TIMEOUT_MS };
  let newest: Workflow | undefined;
  for await (const page of workflows.listWorkflows(run.plan.namespace, options)) {
    for (const workflow of page.workflows) {
      if (isOf(run, workflow) && createdAt(workflow) >= createdAt(newest)) {
        newest = workflow;
      }
    }
  }
  return newest;
}

function isOf(run: ClaimedRun, workflow: Workflow): boolean {
  const id = trimmed(deliveryIdOf(workflow));
  return id !== '' && (id === run.deliveryId || deliveryKey('codex', id) === run.deliveryId);
}

/** The delivery id in the task that the workflow was given; empty if there is no readable task. */
function deliveryIdOf({ spec }: Workflow): string {
  const given = spec?.arguments?.parameters?.find(({ name }) => name === 'rawEvent')?.value;
  try {
    const task: unknown = JSON.parse(Buffer.from(given ?? '', 'base64').toString('utf8'));
    return isRecord(task) && typeof task['deliveryId'] === 'string' ? task['deliveryId'] : '';
  } catch {
    // Another user's workflow, in which this parameter has a different meaning.
    return '';
  }
}

function createdAt(workflow: Workflow | undefined): number {
  return Date.parse(workflow?.metadata?.creationTimestamp ?? '') || 0;
}

/**
 * Patches by uid, so a recreated workflow with this name is not touched. A workflow that was just deleted still counts as found.
 */
async function label(run: ClaimedRun, uid: string, workflows: Pick<ArgoClient, 'patchWorkflow'>): Promise<void> {
  const { labels, annotations } = workflowManifest(run.plan, run).metadata;
  const patch = { metadata: { uid, labels, annotations } };
  try {
    await workflows.patchWorkflow(run.plan.namespace, run.workflowName, patch, { timeoutMs: CALL_TIMEOUT_MS });
  } catch (error) {
    if (!isArgoError(error, 'argo.not_found')) {
      throw error;
    }
  }
}
