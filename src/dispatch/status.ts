import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { inSpan } from '../base/telemetry.ts';
import { within } from '../base/within.ts';
import { isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import type { LastDispatch, Sessions } from '../clients/sessions/sessions.ts';
import type { ArgoConfig } from '../config/config.ts';
import type { RunState } from '../domain/run-state.ts';
import { listRuns, type RunView } from '../ledger/find-runs.ts';

/**
 * Whether a workflow could be made now.
 *
 *   ready     the template is there
 *   missing   the cluster answers and has no such template
 *   silent    the cluster does not answer, or not in time
 *   unknown   this process has no cluster to ask; others may
 *   disabled  the dispatcher is switched off: nothing is submitted
 */
export type TemplateState = 'ready' | 'missing' | 'silent' | 'unknown' | 'disabled';

export interface LastRequest {
  readonly command: string;
  readonly workflowName: string;
  readonly namespace: string;
  /** Absent where only the session store knows of it. */
  readonly state?: RunState;
  readonly progress: string;
}

export interface StatusReport {
  readonly namespace: string;
  readonly workflowTemplate: string;
  readonly template: TemplateState;
  readonly last: LastRequest | undefined;
  /** Of the last request; empty when none is known. */
  readonly correlationId: string;
}

export interface StatusDeps {
  readonly db: Queryable;
  readonly sessions: Pick<Sessions, 'lastDispatch'>;
  /** Whether the dispatcher is switched off. */
  readonly disabled: boolean;
  /** Absent where there is no cluster to ask. */
  readonly templates: Pick<ArgoClient, 'getWorkflowTemplate'> | undefined;
  readonly argo: ArgoConfig;
}

/** How long each of the three is waited for, in milliseconds: together, since all are asked at once. */
const PATIENCE_MS = 1200;

/**
 * What `/status` tells: asks the cluster, the session store and the ledger side by side, and does without whatever does
 * not answer in time. Never rejects.
 */
export async function readStatus(userId: string, deps: StatusDeps): Promise<StatusReport> {
  const { namespace, workflowTemplate } = deps.argo;
  const [template, dispatch, run] = await Promise.all([
    observedTemplateState(deps),
    soon(deps.sessions.lastDispatch(userId)),
    soon(lastRun(userId, deps.db)),
  ]);
  return {
    namespace,
    workflowTemplate,
    template,
    last: lastRequest(dispatch, run),
    correlationId: dispatch?.correlationId ?? run?.correlationId ?? '',
  };
}

/** By the name and the attributes that the Go service's span has. */
async function observedTemplateState(deps: StatusDeps): Promise<TemplateState> {
  const { namespace, workflowTemplate } = deps.argo;
  const attributes = { 'facteur.workflow_template': workflowTemplate, 'facteur.target_namespace': namespace };
  return inSpan('facteur.bridge.status', { kind: SpanKind.CLIENT, attributes }, async (span) => {
    const state = await templateState(deps);
    span.setAttribute('facteur.template', state);
    if (state === 'silent') {
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    return state;
  });
}

async function templateState({ disabled, templates, argo }: StatusDeps): Promise<TemplateState> {
  if (disabled || templates === undefined) {
    return disabled ? 'disabled' : 'unknown';
  }
  const asked = templates.getWorkflowTemplate(argo.namespace, argo.workflowTemplate, { timeoutMs: PATIENCE_MS });
  try {
    return (await within(PATIENCE_MS, asked)).inTime ? 'ready' : 'silent';
  } catch (error) {
    return isArgoError(error, 'argo.not_found') ? 'missing' : 'silent';
  }
}

async function lastRun(userId: string, db: Queryable): Promise<RunView | undefined> {
  return userId === '' ? undefined : (await listRuns(db, { userId, limit: 1 }))[0];
}

/** Undefined for what fails or is late: the rest of the report is worth having. */
async function soon<T>(work: Promise<T | undefined>): Promise<T | undefined> {
  try {
    const outcome = await within(PATIENCE_MS, work);
    return outcome.inTime ? outcome.value : undefined;
  } catch {
    return undefined;
  }
}

/** The session store knows what other services dispatched, too; the ledger knows how it went. */
function lastRequest(dispatch: LastDispatch | undefined, run: RunView | undefined): LastRequest | undefined {
  if (run !== undefined && (dispatch === undefined || dispatch.workflowName === run.workflowName)) {
    const { command, workflowName, namespace, state, progress } = run;
    return { command, workflowName, namespace, state, progress };
  }
  return dispatch === undefined
    ? undefined
    : { command: '', workflowName: dispatch.workflowName, namespace: dispatch.namespace, progress: '' };
}
