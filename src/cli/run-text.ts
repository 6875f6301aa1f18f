import type { RunDetails } from '../ledger/run-details.ts';
import type { RunEvent, RunView } from '../ledger/find-runs.ts';
import type { Approval } from '../domain/approval.ts';
import { isFinished, type RunState } from '../domain/run-state.ts';
import { describeAge, describeDuration } from '../presentation/duration.ts';
import { columnsText, type Column } from './columns.ts';
import { paint, type Colour, type Screen } from './screen.ts';
import { printable, table } from './table.ts';
import { doorName } from '../presentation/door-name.ts';

/** The screen and the time for showing runs. */
interface Showing extends Screen {
  readonly now: Date;
  /** The steps that wait for approval, by run. */
  readonly waiting?: Waiting;
}

/** The steps that wait for approval, by the id of their run. */
export type Waiting = ReadonlyMap<string, readonly Pick<Approval, 'node'>[]>;

const COLOURS: Readonly<Record<RunState, Colour | undefined>> = {
  queued: 'yellow',
  submitted: 'yellow',
  running: 'blue',
  succeeded: 'green',
  failed: 'red',
  error: 'red',
  canceled: 'grey',
  refused: 'red',
  skipped: 'grey',
  lost: 'red',
};

/** The start of a run's id, long enough to identify it. */
export function shortId(runId: string): string {
  return runId.slice(0, 8);
}

/** The request: `/plan Ship the sandbox`. */
export function requestText({ kind, command, title }: Pick<RunView, 'kind' | 'command' | 'title'>): string {
  return [`${kind === 'command' ? '/' : ''}${command}`, title].filter((part) => part !== '').join(' ');
}

/** The duration since the start in the cluster, or if that was not seen, since acceptance; empty before. */
export function tookText({ startedAt, acceptedAt, finishedAt }: RunView, now: Date): string {
  if (startedAt === null && finishedAt === null) {
    return '';
  }
  return describeDuration((finishedAt ?? now).getTime() - (startedAt ?? acceptedAt).getTime());
}

/** `running 3/7`. */
export function stateText({ state, progress }: Pick<RunView, 'state' | 'progress'>): string {
  return state === 'running' ? `${state} ${progress}`.trim() : state;
}

/** `waiting for approval: deploy`; empty for a run that waits for nothing. */
function approvalText(steps: readonly Pick<Approval, 'node'>[] = []): string {
  return steps.length === 0 ? '' : `waiting for approval: ${steps.map(({ node }) => node).join(', ')}`;
}

function columnsFor(now: Date, waiting: Waiting): readonly Column<RunView>[] {
  return [
    { heading: 'RUN', text: ({ runId }) => shortId(runId) },
    {
      heading: 'STATE',
      text: (run) => `${stateText(run)}${waiting.has(run.runId) ? ' (waiting)' : ''}`,
      colour: ({ runId, state }) => (waiting.has(runId) ? 'yellow' : COLOURS[state]),
    },
    { heading: 'AGE', text: ({ acceptedAt }) => describeAge(now.getTime() - acceptedAt.getTime()) },
    { heading: 'TOOK', text: (run) => tookText(run, now) },
    { heading: 'DOOR', text: ({ door }) => door, when: 'roomy' },
    { heading: 'USER', text: ({ userId }) => userId, when: 'wide' },
    { heading: 'REQUEST', text: requestText, flexible: true },
    {
      heading: 'REASON',
      text: ({ runId, reason }) => reason || approvalText(waiting.get(runId)),
      when: 'roomy',
      flexible: true,
    },
    { heading: 'WORKFLOW', text: ({ workflowName }) => workflowName, when: 'ample' },
    { heading: 'NAMESPACE', text: ({ namespace }) => namespace, when: 'wide' },
    { heading: 'ID', text: ({ runId }) => runId, when: 'wide' },
  ];
}

/** Runs as a list for people. */
export function runListing(
  runs: readonly RunView[],
  wide: boolean,
  { now, waiting = new Map(), ...screen }: Showing,
): string {
  return runs.length === 0 ? 'no runs\n' : columnsText(columnsFor(now, waiting), runs, { ...screen, wide });
}

/** A run in full for people. */
export function runDetails(run: RunDetails, showing: Showing): string {
  const facts = factsOf(run, showing.now).filter(([, value]) => value !== '');
  const { request, approvals } = run;
  const sections = [
    `${paint(printable(stateText(run)), COLOURS[run.state], showing)}${approvals.length === 0 ? '' : ' (waiting)'}  ${paint(printable(requestText(run)), 'bold', showing)}\n`,
    table(['RUN', printable(run.runId)], facts),
    request === null ? '' : table(['PARAMETERS', ''], Object.entries(request.parameters)),
    approvals.length === 0
      ? ''
      : table(
          ['WAITS FOR APPROVAL', 'APPROVED', 'FOR', 'EXPIRES', 'QUESTION'],
          approvals.map(({ node, requestedAt, expiresAt, rules, votes }) => [
            node,
            `${Object.keys(votes).length} of ${rules.quorum}`,
            describeAge(showing.now.getTime() - requestedAt.getTime()),
            expiresAt === null ? '-' : utc(expiresAt),
            rules.message,
          ]),
        ),
    table(
      ['HISTORY', 'AFTER', 'BY', 'DETAILS'],
      run.events.map((event) => eventCells(event, run.acceptedAt)),
    ),
  ];
  return sections.filter((section) => section !== '').join('\n');
}

function factsOf(run: RunDetails, now: Date): readonly (readonly [string, string])[] {
  const { userId, door, acceptedAt, reason, retryOf, retriedBy, cancelRequestedBy, links, traceId } = run;
  const took = tookText(run, now);
  const ended = isFinished(run.state)
    ? `${run.state} ${run.state === 'succeeded' ? 'in' : 'after'} ${took}`
    : `running for ${took}`;
  return [
    ['requested', `${utc(acceptedAt)}, ${describeAge(now.getTime() - acceptedAt.getTime())} ago, ${viaDoor(door)}`],
    ['by', userId],
    ['time', took === '' ? '' : ended],
    ['reason', reason],
    ['canceled by', cancelRequestedBy],
    ['delivery', run.deliveryId],
    ['template', run.request?.workflowTemplate ?? ''],
    ['workflow', `${run.workflowName} in ${run.namespace}`],
    ['attempts', run.retryCount === 0 ? '' : String(run.retryCount + 1)],
    ['retry of', retryOf],
    ['retried as', retriedBy],
    ['Argo', links.workflow ?? ''],
    ['Discord', links.message ?? ''],
    ['trace', links.trace ?? traceId],
  ];
}

/** `via Discord`. */
export function viaDoor(door: string): string {
  return `via ${doorName(door) ?? door}`;
}

function eventCells({ at, type, actor, payload }: RunEvent, since: Date): readonly string[] {
  const after = describeDuration(at.getTime() - since.getTime());
  const { to, from: _from, ...rest } = payload;
  const what = type === 'state.change' && typeof to === 'string' ? to : type;
  return [what, after, actor, Object.entries(rest).map(eventDetail).join(', ')];
}

/** `reason: exit code 2`. */
function eventDetail([name, value]: readonly [string, unknown]): string {
  return `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`;
}

/** `2026-11-28 12:00:03 UTC`. */
export function utc(moment: Date): string {
  return `${moment.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
