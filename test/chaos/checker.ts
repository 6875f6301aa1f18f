import { isFinished, RUN_MOVES, RUN_STATES, type RunState } from '../../src/domain/run-state.ts';

/** One answer that a sender got. Broken connections, 408s and 503s are not answers: the sender retries. */
export interface AnswerRecord {
  readonly deliveryId: string;
  readonly status: number;
  /** The JSON body. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** One row of the ledger, with all its changes of state in order. */
export interface RunRecord {
  readonly runId: string;
  readonly deliveryId: string;
  readonly state: string;
  /** What other readers of the database see. */
  readonly sharedState: string;
  readonly workflowName: string;
  readonly workflowUid: string;
  /** It has a row in `open_runs`. */
  readonly isOpen: boolean;
  readonly changes: readonly { readonly from: string | null; readonly to: string }[];
}

/** One event in the cluster. */
export interface ClusterRecord {
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly phase: string;
  /** The delivery of the workflow, by its label; undefined if no such delivery was sent. */
  readonly deliveryId: string | undefined;
}

/** How many watches were open from this time on, in milliseconds. */
export interface WatchRecord {
  readonly atMs: number;
  readonly open: number;
}

/** Everything that is known about a chaos test after it has come to rest. */
export interface ChaosHistory {
  /** Every delivery that was sent. */
  readonly deliveries: readonly string[];
  readonly answers: readonly AnswerRecord[];
  readonly runs: readonly RunRecord[];
  readonly cluster: readonly ClusterRecord[];
  readonly watches: readonly WatchRecord[];
}

/** An error, with the promise that was broken. */
export interface Violation {
  readonly promise:
    /** Every delivery answered with 202 is in the ledger, and every run in the ledger ends. */
    | 'none lost'
    /** One delivery is one run and one workflow. */
    | 'one workflow'
    /** States move as the table of moves allows. */
    | 'no state backwards'
    /** All answers to one delivery agree. */
    | 'answers agree'
    /** The ledger and the cluster agree on a workflow. */
    | 'ledger is true'
    /** One process follows at a time. */
    | 'one follower';
  readonly text: string;
}

/** When one process takes over from another, both may watch for a moment. */
const HANDOVER_MS = 5_000;

const ENDS: Readonly<Record<string, RunState>> = { Succeeded: 'succeeded', Failed: 'failed', Error: 'error' };

/** Everything in a history that breaks a promise; empty if all were kept. */
export function check(history: ChaosHistory): Violation[] {
  return [
    ...history.deliveries.flatMap((deliveryId) => checkDelivery(deliveryId, history)),
    ...strangers(history),
    ...history.runs.flatMap(checkChanges),
    ...checkWatches(history.watches),
  ];
}

function checkDelivery(deliveryId: string, history: ChaosHistory): Violation[] {
  const ofDelivery = <T extends { readonly deliveryId: string | undefined }>(records: readonly T[]): T[] =>
    records.filter((record) => record.deliveryId === deliveryId);
  const answers = ofDelivery(history.answers);
  const runs = ofDelivery(history.runs);
  const cluster = ofDelivery(history.cluster);
  const say = (promise: Violation['promise'], text: string): Violation => ({ promise, text: `${deliveryId}: ${text}` });
  const [run] = runs;
  return [
    ...(run === undefined && answers.some(({ status }) => status === 202)
      ? [say('none lost', 'was accepted and is not in the ledger')]
      : []),
    ...(runs.length > 1 ? [say('one workflow', `has ${runs.length} runs`)] : []),
    ...checkAnswers(answers).map((text) => say('answers agree', text)),
    ...(run === undefined ? [] : checkEnd(run, cluster).map(([promise, text]) => say(promise, text))),
    ...checkCreates(cluster).map((text) => say('one workflow', text)),
  ];
}

/** Fields that show the progress of a run may differ between answers; all others may not. */
function checkAnswers(answers: readonly AnswerRecord[]): string[] {
  const refused = answers.filter(({ status }) => status !== 202);
  const fixed = new Set(
    answers.map(({ body: { duplicate: _duplicate, status: _status, ...body } }) =>
      JSON.stringify(Object.entries(body).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    ),
  );
  const first = answers.filter(({ body }) => body['duplicate'] === false);
  return [
    ...refused.map(({ status, body }) => `was answered ${status} ${JSON.stringify(body)}`),
    ...(fixed.size > 1 ? [`was answered in ${fixed.size} ways: ${[...fixed].join(' | ')}`] : []),
    ...(first.length > 1 ? [`was new ${first.length} times`] : []),
    ...answers.flatMap(({ body }) => (typeof body['runId'] === 'string' ? [] : ['was accepted without a run'])),
  ];
}

function checkCreates(cluster: readonly ClusterRecord[]): string[] {
  const created = cluster.filter(({ kind }) => kind === 'create');
  return created.length > 1 ? [`has ${created.length} workflows: ${created.map(({ name }) => name).join(', ')}`] : [];
}

type Fault = readonly [Violation['promise'], string];

function checkEnd(run: RunRecord, cluster: readonly ClusterRecord[]): readonly Fault[] {
  const created = cluster.find(({ kind }) => kind === 'create');
  const phase = cluster.findLast((record) => ENDS[record.phase] !== undefined)?.phase ?? '';
  const { state, sharedState } = run;
  const over = isFinished(state as RunState);
  return [
    ...(over ? [] : [['none lost', `came to rest as ${state}`] as const]),
    ...(created === undefined ? [['none lost', 'has no workflow'] as const] : differences(run, created)),
    ...(sharedState === state ? [] : [['ledger is true', `is ${sharedState} for others and ${state} for us`] as const]),
    ...(run.isOpen ? [['ledger is true', `came to rest as ${state}, and is open`] as const] : []),
    ...(over && phase !== '' && state !== ENDS[phase]
      ? [['ledger is true', `ended as ${state}, its workflow as ${phase}`] as const]
      : []),
  ];
}

function differences({ workflowName, workflowUid }: RunRecord, { name, uid }: ClusterRecord): readonly Fault[] {
  return name === workflowName && (workflowUid === '' || workflowUid === uid)
    ? []
    : [['ledger is true', `knows the workflow ${workflowName} ${workflowUid}, the cluster ${name} ${uid}`]];
}

/** Runs and workflows without a delivery that was sent. */
function strangers({ deliveries, runs, cluster }: ChaosHistory): Violation[] {
  const sent = new Set(deliveries);
  return [
    ...runs
      .filter(({ deliveryId }) => !sent.has(deliveryId))
      .map(({ runId, deliveryId }) => ({
        promise: 'one workflow' as const,
        text: `run ${runId} is of ${deliveryId}, which nobody sent`,
      })),
    ...cluster
      .filter(({ kind, deliveryId }) => kind === 'create' && deliveryId === undefined)
      .map(({ name }) => ({ promise: 'one workflow' as const, text: `workflow ${name} is of no delivery` })),
  ];
}

function checkChanges({ deliveryId, changes, state }: RunRecord): Violation[] {
  const texts: string[] = [];
  for (const [index, { from, to }] of changes.entries()) {
    const before = changes[index - 1]?.to ?? null;
    if (from !== before) {
      texts.push(`went on from ${from} when it was ${before}`);
    } else if (!mayMove(from, to)) {
      texts.push(`moved from ${from} to ${to}`);
    }
  }
  if (changes.at(-1)?.to !== state) {
    texts.push(`is ${state}, and its last change was to ${changes.at(-1)?.to}`);
  }
  return texts.map((text) => ({ promise: 'no state backwards', text: `${deliveryId}: ${text}` }));
}

/** No workflow is retried here: a finished state is final. */
function mayMove(from: string | null, to: string): boolean {
  const known = RUN_STATES.find((state) => state === from);
  return known === undefined
    ? from === null && to === 'queued'
    : !isFinished(known) && RUN_MOVES[known].some((next) => next === to);
}

function checkWatches(watches: readonly WatchRecord[]): Violation[] {
  const violations: Violation[] = [];
  let since: number | undefined;
  for (const { atMs, open } of watches) {
    if (open > 1) {
      since ??= atMs;
    } else if (since !== undefined) {
      violations.push(...tooLong(atMs - since));
      since = undefined;
    }
  }
  const last = watches.at(-1);
  return since === undefined || last === undefined ? violations : [...violations, ...tooLong(last.atMs - since)];
}

function tooLong(ms: number): Violation[] {
  return ms <= HANDOVER_MS
    ? []
    : [{ promise: 'one follower', text: `more than one watch was open for ${Math.round(ms)} ms` }];
}
