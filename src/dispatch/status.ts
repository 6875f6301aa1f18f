import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { SPANS } from '../base/spans.ts';
import { inSpan } from '../base/telemetry.ts';
import type { Timer } from '../base/timer.ts';
import { within } from '../base/within.ts';
import { isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import type { LastDispatch, Sessions } from '../clients/sessions/sessions.ts';
import type { ArgoConfig } from '../config/config.ts';
import { isFinished, RUN_STATES, type RunState } from '../domain/run-state.ts';
import { runsWaiting } from '../ledger/approvals.ts';
import { listRuns, type RunView } from '../ledger/find-runs.ts';
import { findPlaces, findPrivate } from '../ledger/messages.ts';
import { messageUrl } from '../presentation/message-url.ts';

/**
 * Whether a workflow could be created now.
 *
 * ready     the template exists
 * missing   the cluster has no such template
 * silent    the cluster does not answer, or not in time
 * unknown   this process has no cluster; others may
 * disabled  the dispatcher is disabled: nothing is submitted
 */
type TemplateState = 'ready' | 'missing' | 'silent' | 'unknown' | 'disabled';

interface LastRequest {
  readonly command: string;
  readonly workflowName: string;
  readonly namespace: string;
  /** Absent if only the session store knows the request. */
  readonly state?: RunState;
  readonly progress: string;
}

/** One of the user's runs. */
export interface ListedRun extends Pick<RunView, 'command' | 'title' | 'state' | 'progress' | 'acceptedAt'> {
  readonly waitsForApproval: boolean;
  /** Its message in Discord, if everybody in the channel can see it. */
  readonly url?: string | undefined;
}

export interface StatusReport {
  readonly namespace: string;
  readonly workflowTemplate: string;
  readonly template: TemplateState;
  readonly last: LastRequest | undefined;
  /** The user's live runs, and the newest ended ones, each newest first. */
  readonly live: readonly ListedRun[];
  readonly ended: readonly ListedRun[];
  /** The correlation id of the last request; empty if it is unknown. */
  readonly correlationId: string;
}

export interface StatusDeps {
  readonly db: Queryable;
  readonly sessions: Pick<Sessions, 'lastDispatch'>;
  /** Whether the dispatcher is disabled. */
  readonly disabled: boolean;
  /** Absent without a cluster. */
  readonly templates: Pick<ArgoClient, 'getWorkflowTemplate'> | undefined;
  readonly argo: ArgoConfig;
  readonly timer: Timer;
}

/** How long to wait for the three answers, in milliseconds; they are requested concurrently. */
const PATIENCE_MS = 1200;

interface StatusOptions extends StatusDeps {
  /** Everybody in the channel sees the answer, so it omits private runs. */
  readonly isPublic: boolean;
}

/**
 * The contents of `/status`: asks the cluster, the session store and the ledger concurrently, and omits whatever does not answer
 * in time. Never rejects.
 */
export async function readStatus(userId: string, deps: StatusOptions): Promise<StatusReport> {
  const { namespace, workflowTemplate } = deps.argo;
  const [template, dispatch, runs = UNKNOWN_RUNS] = await Promise.all([
    tracedTemplateState(deps),
    soon(deps.timer, deps.sessions.lastDispatch(userId)),
    soon(deps.timer, runsOf(userId, deps)),
  ]);
  const { newest: run, live, ended } = runs;
  const elsewhere = deps.isPublic && runs.hides ? undefined : dispatch;
  return {
    namespace,
    workflowTemplate,
    template,
    last: lastRequest(elsewhere, run),
    live,
    ended,
    correlationId: run?.correlationId ?? elsewhere?.correlationId ?? '',
  };
}

/** With the name and the attributes of the Go service's span. */
async function tracedTemplateState(deps: StatusDeps): Promise<TemplateState> {
  const { namespace, workflowTemplate } = deps.argo;
  const attributes = { 'facteur.workflow_template': workflowTemplate, 'facteur.target_namespace': namespace };
  return inSpan(SPANS.status, { kind: SpanKind.CLIENT, attributes }, async (span) => {
    const state = await templateState(deps);
    span.setAttribute('facteur.template', state);
    if (state === 'silent') {
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    return state;
  });
}

async function templateState({ disabled, templates, argo, timer }: StatusDeps): Promise<TemplateState> {
  if (disabled || templates === undefined) {
    return disabled ? 'disabled' : 'unknown';
  }
  try {
    const asked = await within(timer, PATIENCE_MS, (signal) =>
      templates.getWorkflowTemplate(argo.namespace, argo.workflowTemplate, { signal }),
    );
    return asked.inTime ? 'ready' : 'silent';
  } catch (error) {
    return isArgoError(error, 'argo.not_found') ? 'missing' : 'silent';
  }
}

interface RunsOfUser extends Pick<StatusReport, 'live' | 'ended'> {
  readonly newest: RunView | undefined;
  /** Some runs were private, or may have been. */
  readonly hides: boolean;
}

const NO_RUNS: RunsOfUser = { newest: undefined, live: [], ended: [], hides: false };
const UNKNOWN_RUNS: RunsOfUser = { ...NO_RUNS, hides: true };
const LIVE_STATES = RUN_STATES.filter((state) => !isFinished(state));
const ENDED_STATES = RUN_STATES.filter(isFinished);
const MAX_LIVE = 10;
const MAX_ENDED = 5;

async function runsOf(userId: string, { db, isPublic }: StatusOptions): Promise<RunsOfUser> {
  if (userId === '') {
    return NO_RUNS;
  }
  const found = await Promise.all([
    listRuns(db, { userId, limit: 1 }),
    listRuns(db, { userId, states: LIVE_STATES, limit: MAX_LIVE }),
    listRuns(db, { userId, states: ENDED_STATES, limit: MAX_ENDED }),
  ]);
  const ids = (runs: readonly RunView[]): string[] => runs.map(({ runId }) => runId);
  const hidden = isPublic ? await findPrivate(db, ids(found.flat())) : new Set();
  const shown = (runs: readonly RunView[]): readonly RunView[] => runs.filter(({ runId }) => !hidden.has(runId));
  const [[first], live, ended] = [shown(found[0]), shown(found[1]), shown(found[2])];
  const newest = first ?? [...live, ...ended].toSorted(byNewest)[0];
  const [places, waiting] = await Promise.all([findPlaces(db, ids([...live, ...ended])), runsWaiting(db, ids(live))]);
  const listed = (run: RunView): ListedRun => {
    const place = places.get(run.runId);
    const url = place === undefined ? undefined : messageUrl(place);
    return { ...run, waitsForApproval: waiting.has(run.runId), url };
  };
  return { newest, live: live.map(listed), ended: ended.map(listed), hides: hidden.size > 0 };
}

function byNewest(one: RunView, other: RunView): number {
  return other.acceptedAt.getTime() - one.acceptedAt.getTime();
}

/** Undefined if the work fails or is late: the rest of the report is still useful. */
async function soon<T>(timer: Timer, work: Promise<T | undefined>): Promise<T | undefined> {
  try {
    const outcome = await within(timer, PATIENCE_MS, () => work);
    return outcome.inTime ? outcome.value : undefined;
  } catch {
    return undefined;
  }
}

/** Prefers the ledger's, which knows the state of the run. The session store also knows what other services dispatched. */
function lastRequest(dispatch: LastDispatch | undefined, run: RunView | undefined): LastRequest | undefined {
  if (run !== undefined) {
    const { command, workflowName, namespace, state, progress } = run;
    return { command, workflowName, namespace, state, progress };
  }
  return dispatch === undefined
    ? undefined
    : { command: '', workflowName: dispatch.workflowName, namespace: dispatch.namespace, progress: '' };
}
