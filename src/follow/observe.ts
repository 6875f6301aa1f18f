import { hideKnown } from '../base/known-credentials.ts';
import { redactText } from '../base/redact.ts';
import { fieldsOf } from '../base/json.ts';
import type { Workflow } from '../clients/argo/workflows.ts';
import { LABELS } from '../domain/workflow-plan.ts';
import type { Observation } from '../ledger/observe-workflows.ts';
import { currentStep, lockedStep, stuckStep } from '../clients/argo/current-step.ts';
import { readNodes } from '../clients/argo/workflow-nodes.ts';
import { failingStepMessage, hasFailedRoot, ownWords } from '../clients/argo/failing-step.ts';
import { resultsOf } from './results.ts';
import { lapsesOf, mayLapse, waitingOf } from './waiting-nodes.ts';

/** A reason is for a chat message; the full text is in Argo. */
const MAX_REASON = 500;
const MAX_VERSION = 2n ** 63n - 1n;

type Json = Readonly<Record<string, unknown>>;
type State = Observation['state'];
type Nodes = ReturnType<typeof readNodes>;

const NONE: Nodes = new Map();

const BY_PHASE: Readonly<Record<string, State>> = {
  Running: 'running',
  Succeeded: 'succeeded',
  Failed: 'failed',
  Error: 'error',
};

/**
 * The parts of a workflow that matter here. Everything except its identity may be absent or malformed, and then counts as
 * unknown.
 */
export function observe(workflow: Workflow): Observation {
  const { metadata, spec, status } = fields(workflow);
  const state = stateOf(spec, status);
  // Read once per event: packed nodes may be megabytes.
  const nodes = state === 'running' || mayLapse(status) ? readNodes(status) : NONE;
  return {
    namespace: text(metadata['namespace']),
    name: text(metadata['name']),
    uid: text(metadata['uid']),
    deliveryLabel: text(fieldsOf(metadata['labels'])[LABELS.delivery]),
    version: versionOf(metadata['resourceVersion']),
    state,
    progress: /^\d{1,6}\/\d{1,6}$/.exec(text(status['progress']))?.[0] ?? '',
    reason: reasonOf(state, status),
    startedAt: timeOf(status['startedAt']),
    finishedAt: timeOf(status['finishedAt']),
    resources: resourcesOf(status['resourcesDuration']),
    step: stepOf(state, status, nodes),
    results: state === 'succeeded' ? resultsOf(metadata, status) : [],
    confirmed: false,
    shutdown: text(spec['shutdown']),
    waiting: waitingOf(spec, status, nodes),
    lapses: lapsesOf(status, nodes),
  };
}

/** Pending, not yet seen by Argo, or an unknown phase all count as `submitted`: the workflow is in the cluster. */
function stateOf(spec: Json, status: Json): State {
  const phase = text(status['phase']);
  const state = Object.hasOwn(BY_PHASE, phase) ? (BY_PHASE[phase] ?? 'submitted') : 'submitted';
  return text(spec['shutdown']) !== '' && isStopped(state, status) ? 'canceled' : state;
}

/** If a workflow is terminated while it waits for a lock, Argo says that it succeeded although nothing ran. */
function isStopped(state: State, status: Json): boolean {
  return state === 'failed' || state === 'error' || (state === 'succeeded' && hasFailedRoot(status));
}

function reasonOf(state: State, status: Json): string {
  switch (state) {
    case 'failed':
    case 'error':
      return told(failingStepMessage(status) || ownWords(status['message']) || unread(status));
    case 'canceled':
      return told(ownWords(status['message']) || failingStepMessage(status) || 'stopped');
    default:
      return '';
  }
}

/** The controller names the step only by its id. */
function unread(status: Json): string {
  return text(status['message']) === ''
    ? 'no reason given by the cluster'
    : 'a step failed, and facteur cannot read the steps of this workflow; see Argo';
}

/** For people: the message may be the end of a log, if the container's `terminationMessagePolicy` says so. */
function told(message: string): string {
  if (message === '') {
    return '';
  }
  // Before the text is cut: the first part of a token is not recognized.
  return oneLine(hideKnown(message.slice(0, MAX_REASON * 4)));
}

/** One bounded line, safe to store and to show: messages come from any program in the workflow. */
function oneLine(message: string): string {
  const line = redactText(message.slice(0, MAX_REASON * 4).toWellFormed())
    .replaceAll(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  return line.length <= MAX_REASON ? line : `${line.slice(0, MAX_REASON - 1).toWellFormed()}…`;
}

/** The current step of a live workflow, or why the controller has not started it. */
function stepOf(state: State, status: Json, nodes: Nodes): string {
  if (state === 'submitted') {
    return shortLine(text(status['message']));
  }
  if (state !== 'running') {
    return '';
  }
  const step = currentStep(nodes);
  return shortLine(
    step === undefined ? heldUp(nodes) : step.displayName + (step.type === 'Suspend' ? ' (suspended)' : ''),
  );
}

/** The step that holds up a workflow without running steps, and why; empty if unknown. */
function heldUp(nodes: Nodes): string {
  const locked = lockedStep(nodes);
  if (locked !== undefined) {
    return `${locked.displayName} (waiting for lock ${locked.lock})`;
  }
  const stuck = stuckStep(nodes);
  return stuck === undefined ? '' : `${stuck.displayName} (${stuck.message})`;
}

const MAX_STEP = 120;

function shortLine(message: string): string {
  return told(message).slice(0, MAX_STEP).toWellFormed();
}

function versionOf(value: unknown): bigint | undefined {
  const version = /^\d{1,19}$/.test(text(value)) ? BigInt(text(value)) : undefined;
  return version !== undefined && version <= MAX_VERSION ? version : undefined;
}

/** Go writes an unset time as null, or as January 1 of the year 1. */
function timeOf(value: unknown): Date | undefined {
  const time = new Date(text(value));
  return time.getTime() > 0 && time.getUTCFullYear() <= 9999 ? time : undefined;
}

function resourcesOf(value: unknown): Readonly<Record<string, number>> {
  const known = Object.entries(fieldsOf(value)).filter(
    (entry): entry is [string, number] => Number.isFinite(entry[1]) && /^[\w./-]{1,63}$/.test(entry[0]),
  );
  return Object.fromEntries(known.slice(0, 20));
}

function fields(workflow: unknown): { readonly metadata: Json; readonly spec: Json; readonly status: Json } {
  const { metadata, spec, status } = fieldsOf(workflow);
  return { metadata: fieldsOf(metadata), spec: fieldsOf(spec), status: fieldsOf(status) };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
