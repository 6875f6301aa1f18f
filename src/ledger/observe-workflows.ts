import type { Queryable } from '../clients/postgres/database.ts';
import { isFinished, RUN_MOVES, RUN_STATES, statesBefore, type RunState } from '../domain/run-state.ts';
import { deliveryLabel } from '../domain/workflow-name.ts';
import type { Waiting } from '../domain/approval.ts';
import type { RunResult } from '../domain/run-result.ts';
import { changeMessages } from './messages.ts';
import { MOVE_TASKS } from './move-run.ts';

/** An observation of one workflow in the cluster. */
export interface Observation {
  readonly namespace: string;
  readonly name: string;
  /** Empty only when a workflow was gone before its uid was read. */
  readonly uid: string;
  /** The value of the delivery label, or empty. It identifies a workflow's run while its uid is unknown. */
  readonly deliveryLabel: string;
  /** The resource version, if it is a number: an older version of the same workflow changes nothing. */
  readonly version: bigint | undefined;
  readonly state: Exclude<RunState, 'queued' | 'refused' | 'skipped'>;
  /** `done/total`, or empty. */
  readonly progress: string;
  /** Why it did not succeed; empty otherwise. */
  readonly reason: string;
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  /** Argo's `status.resourcesDuration`: seconds by resource. */
  readonly resources: Readonly<Record<string, number>>;
  /** The current step, or what it waits for; absent if unknown. */
  readonly step?: string;
  /** Its results, once it has succeeded. */
  readonly results?: readonly RunResult[];
  /**
   * The cluster was asked again for this very workflow. Only then does facteur believe that it vanished, or that a finished one
   * became live again: a late event looks just the same.
   */
  readonly confirmed: boolean;
  /** `Stop`, `Terminate`, or empty: which of its steps still wait. */
  readonly shutdown?: string;
  /** Its open approvals; absent if there are none. */
  readonly waiting?: readonly Waiting[];
  /** Why steps that Argo resumed after their duration no longer wait, by key. */
  readonly lapses?: Readonly<Record<string, string>>;
}

/**
 * Whether an observation survives a crash of Postgres from the moment it is written (`durable`), or only from up to a second
 * later (`fleeting`). An observation that the cluster can repeat may be `fleeting`, which saves a flush to disk.
 */
export type Durability = 'durable' | 'fleeting';

/** The effect of an observation on its run. Observations without an effect return none. */
export interface Observed {
  readonly runId: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly deliveryLabel: string;
  readonly from: RunState;
  readonly to: RunState;
  readonly traceparent: string;
  /** Time from the workflow's start or end, according to the cluster, until now; null if the cluster does not say. */
  readonly lagMs: number | null;
  /** The run's command; `(codex)` for a Codex task. */
  readonly command: string;
  /** Time from the start to the end of the workflow of an ended run; null if the cluster does not say. */
  readonly runtimeMs: number | null;
  /**
   * moved        the run has changed its state
   * updated      the same state, with other details
   * unwanted     the run had ended in the queue before its workflow appeared: it keeps its state, and the workflow is stopped
   * unconfirmed  nothing was changed: read this workflow from the cluster, and apply the result as confirmed
   */
  readonly effect: 'moved' | 'updated' | 'unwanted' | 'unconfirmed';
  /** A cancel was requested before its workflow was known: now the submitter must stop it. */
  readonly dueNow: boolean;
  /** It has a message that needs an update. */
  readonly messageChanged: boolean;
}

/** Whether a row of `runs` ended before its workflow was created: users were told that it was never started. */
const ENDED_IN_QUEUE = `runs.previous_state = 'queued' AND runs.state IN ('canceled', 'refused')`;

const MOVES = RUN_STATES.flatMap((from) => RUN_MOVES[from].map((to) => `${from}>${to}`));
const ENDS = RUN_STATES.filter(isFinished);
/** Final states that a retry in Argo can leave. */
const REVIVABLE = statesBefore('running').filter(isFinished);

/** Milliseconds between two times, as an integer that is never negative (clocks differ); null if either time is unknown. */
const ms = (from: string, to: string): string =>
  `(extract(epoch FROM ${to} - ${from}) * 1000 * (${to} > ${from})::int)::bigint`;

/**
 * One statement for a whole batch, filtered by the state machine.
 *
 * held     the runs with new observations, locked in a fixed order. A workflow belongs to a run by name and uid. An ended run
 *          counts as retried only if its workflow runs, has succeeded although it had not, or has a later start or end: a
 *          late stop or a deletion is not a retry. Argo's times are whole seconds, so a retry may have the same start time
 *          as the first attempt
 * late     runs that ended in the queue but whose creates succeeded. Users were told that nothing was started, so nothing
 *          is followed, and the workflow must be stopped
 * planned  the intermediate state, if the machine has no direct move; every step gets its event
 * due      the allowed moves; `believed` is false for those that must be confirmed first
 * moved    from here on as in `move-run.ts`, but for many runs. Both states come from the locked row: Postgres checks the
 *          constraint on them before it notices that a row has changed since the statement began. When a run becomes live
 *          again, its cancel request is cleared
 * entered  a run with a cancel request stays due for the submitter until it has ended
 * run      the moves of runs that are visible to other readers of the database, with the columns for the next steps. An
 *          archived run has no plan in the locked row: its row of `task_runs` may have been deleted while this statement
 *          waited for the lock, but the statement still sees it
 * shared   the rows that those readers see. They do not distinguish queued from submitted: until its workflow runs, a run
 *          is `queued` for them, under the name that it has had since it was recorded
 */
const OBSERVE = `
WITH seen AS (
  SELECT * FROM json_to_recordset($1::json) AS seen(namespace text, name text, uid text, delivery text, version bigint,
    state text, progress text, reason text, started_at timestamptz, finished_at timestamptz, resources jsonb,
    step text, results jsonb, confirmed boolean)
  WHERE $5 = 'durable' OR set_config('synchronous_commit', 'off', true) = 'off'
), held AS MATERIALIZED (
  SELECT runs.run_id, runs.state AS was, runs.previous_state AS was_before, runs.finished_at AS ended_at, runs.traceparent,
    CASE runs.kind WHEN 'codex' THEN '(codex)' ELSE runs.command END AS command,
    runs.cancel_requested_by IS NOT NULL AS unwanted,
    ${ENDED_IN_QUEUE} AS is_late, seen.*
  FROM seen JOIN facteur.runs ON runs.namespace = seen.namespace AND runs.workflow_name = seen.name
  WHERE CASE WHEN runs.workflow_uid IS NOT NULL
        THEN runs.workflow_uid = seen.uid AND (${ENDED_IN_QUEUE}) IS NOT TRUE
      ELSE (runs.state IN ('queued', 'submitted')
          OR ${ENDED_IN_QUEUE} AND seen.state IN ('submitted', 'running') AND seen.uid <> '')
        AND seen.delivery = left(encode(sha256(convert_to(runs.delivery_id, 'UTF8')), 'hex'), 32) END
    AND (seen.version > runs.resource_version) IS NOT FALSE
    AND (runs.workflow_uid IS NULL OR CASE WHEN runs.state = ANY($4)
        THEN seen.state IN ('running', 'succeeded') AND seen.state <> runs.state OR seen.finished_at > runs.finished_at
          OR seen.started_at > coalesce(runs.started_at, '-infinity')
      ELSE runs.state <> seen.state
        OR runs.state = 'running' AND runs.progress <> seen.progress
        OR runs.state IN ('submitted', 'running') AND runs.step <> seen.step END)
  ORDER BY runs.run_id FOR NO KEY UPDATE OF runs
), late AS (
  UPDATE facteur.runs SET workflow_uid = held.uid, updated_at = now(),
    cancel_requested_by = coalesce(runs.cancel_requested_by, 'facteur')
  FROM held WHERE runs.run_id = held.run_id AND held.is_late
), planned AS (
  SELECT held.*, was = ANY($4) AS revived, state = ANY($3) AS ends,
    CASE WHEN was = 'queued' AND state <> 'submitted' THEN 'submitted'
      WHEN was = ANY($4) AND state <> 'running' THEN 'running' END AS via
  FROM held WHERE is_late IS NOT TRUE
), due AS (
  SELECT *, via IS NOT NULL OR was <> state AS moves, confirmed OR NOT (revived OR state = 'lost') AS believed
  FROM planned
  WHERE was = state AND via IS NULL
    OR was || '>' || coalesce(via, state) = ANY($2) AND (via IS NULL OR via || '>' || state = ANY($2))
), moved AS (
  UPDATE facteur.runs SET state = due.state,
    previous_state = CASE WHEN due.moves THEN coalesce(due.via, due.was) ELSE due.was_before END,
    revision = runs.revision + 1, updated_at = now(),
    workflow_uid = coalesce(runs.workflow_uid, nullif(due.uid, '')),
    resource_version = coalesce(due.version, runs.resource_version),
    progress = CASE WHEN due.revived THEN due.progress ELSE coalesce(nullif(due.progress, ''), runs.progress) END,
    step = due.step, results = CASE WHEN due.ends THEN due.results ELSE runs.results END,
    reason = CASE WHEN due.moves THEN due.reason ELSE runs.reason END,
    retry_count = runs.retry_count + due.revived::int,
    submitted_at = coalesce(runs.submitted_at, now()),
    started_at = coalesce(due.started_at, runs.started_at),
    finished_at = CASE WHEN due.ends THEN coalesce(due.finished_at, now()) END,
    cancel_requested_by = CASE WHEN NOT due.revived THEN runs.cancel_requested_by END
  FROM due WHERE runs.run_id = due.run_id AND due.believed
  RETURNING runs.*, due.was, due.via, due.moves, due.revived, due.ends, due.ended_at, due.resources
), entered AS (
  UPDATE facteur.open_runs SET in_cluster = true, due_at = CASE line WHEN 'stop' THEN now() END, claimed_until = NULL
  FROM moved WHERE open_runs.run_id = moved.run_id AND moved.was = 'queued' AND NOT moved.ends
), closed AS (
  DELETE FROM facteur.open_runs USING moved WHERE open_runs.run_id = moved.run_id AND moved.ends
), opened AS (
  INSERT INTO facteur.open_runs (run_id, line, in_cluster, due_at)
  SELECT run_id, 'create', true, NULL FROM moved WHERE revived AND NOT ends
  UNION ALL SELECT run_id, 'stop', false, now() FROM held WHERE is_late
  ON CONFLICT (run_id) DO UPDATE SET line = EXCLUDED.line, in_cluster = EXCLUDED.in_cluster, due_at = EXCLUDED.due_at
), run AS MATERIALIZED (
  SELECT task_runs.id, task_runs.task_id, task_runs.created_at, moved.was, moved.via, moved.state, moved.reason,
    moved.revived, moved.ends, moved.ended_at, moved.accepted_at, moved.started_at AS began_at, moved.finished_at,
    moved.resources, moved.retry_count AS retries, moved.cancel_requested_by, moved.workflow_name, moved.taken_over
  FROM moved JOIN codex_kb.task_runs ON task_runs.id = moved.run_id
  WHERE moved.moves AND moved.plan IS NOT NULL
), shared AS (
  UPDATE codex_kb.task_runs SET status = run.state, updated_at = now(), external_run_id = run.workflow_name,
    started_at = coalesce(task_runs.started_at, run.began_at), completed_at = run.finished_at,
    retry_count = least(run.retries, 32767),
    error_code = CASE WHEN run.ends AND run.state <> 'succeeded' THEN run.state END
  FROM run WHERE task_runs.id = run.id AND (run.state <> 'submitted' OR run.taken_over)
), task AS (${MOVE_TASKS}), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT id, 'state.change', CASE target WHEN 'canceled' THEN coalesce(cancel_requested_by, 'facteur') ELSE 'facteur' END,
    jsonb_strip_nulls(jsonb_build_object('from', origin, 'to', target,
      'reason', CASE WHEN target = state THEN nullif(reason, '') END,
      'retryCount', CASE WHEN target = 'running' AND revived THEN retries END))
  FROM run CROSS JOIN LATERAL (VALUES (1, was, coalesce(via, state)), (2, via, state)) AS step(number, origin, target)
  WHERE origin IS NOT NULL
  ORDER BY id, number
), metrics AS (
  INSERT INTO codex_kb.run_metrics AS metrics
    (task_run_id, queue_latency_ms, runtime_ms, retry_latency_ms, resource_usage)
  SELECT id, ${ms('accepted_at', 'began_at')}, ${ms('began_at', 'finished_at')},
    CASE WHEN revived THEN ${ms('ended_at', 'began_at')} END, resources
  FROM run
  WHERE ends OR revived
  ON CONFLICT (task_run_id) DO UPDATE SET
    queue_latency_ms = coalesce(metrics.queue_latency_ms, EXCLUDED.queue_latency_ms),
    runtime_ms = coalesce(EXCLUDED.runtime_ms, metrics.runtime_ms),
    retry_latency_ms = coalesce(EXCLUDED.retry_latency_ms, metrics.retry_latency_ms),
    resource_usage = CASE EXCLUDED.resource_usage WHEN '{}' THEN metrics.resource_usage ELSE EXCLUDED.resource_usage END
), message AS (${changeMessages('moved')})
SELECT run_id AS "runId", namespace, name, uid, delivery AS "deliveryLabel", was AS "from", state AS "to", traceparent,
  (extract(epoch FROM now() - CASE WHEN ends THEN finished_at ELSE started_at END) * 1000)::float8 AS "lagMs",
  command, (extract(epoch FROM CASE WHEN ends THEN finished_at - started_at END) * 1000)::float8 AS "runtimeMs",
  CASE WHEN NOT believed THEN 'unconfirmed' WHEN moves THEN 'moved' ELSE 'updated' END AS effect,
  believed AND unwanted AND was = 'queued' AND NOT ends AS "dueNow",
  EXISTS (SELECT FROM message WHERE message.run_id = due.run_id) AS "messageChanged"
FROM due
UNION ALL
SELECT run_id, namespace, name, uid, delivery, was, was, traceparent, NULL, command, NULL, 'unwanted', true, false FROM held WHERE is_late`;

/**
 * Applies observations of workflows to their runs, and returns the changes. Repeated or older observations, and workflows that do
 * not belong to a run, change nothing.
 *
 * @param batch at most one observation per workflow
 * @throws DatabaseError; `postgres.conflict` if two batches locked runs in a different order: retry
 */
export async function observeWorkflows(
  db: Queryable,
  batch: readonly Observation[],
  durability: Durability = 'durable',
): Promise<Observed[]> {
  const { rows } = await db.query<Observed>({
    name: durability === 'durable' ? 'observe-workflows' : 'mark-submitted',
    text: OBSERVE,
    values: [JSON.stringify(batch.map(toRow)), MOVES, ENDS, REVIVABLE, durability],
  });
  return rows;
}

/** A workflow that was created for a run. The uid is empty if the workflow was gone before it could be read. */
export interface CreatedWorkflow {
  readonly workflowName: string;
  readonly workflowUid: string;
}

/** The observation that follows from the response to a create: the workflow is in the cluster, and nothing else is known. */
export function observationOfCreate(
  { namespace, deliveryId }: { readonly namespace: string; readonly deliveryId: string },
  { workflowName: name, workflowUid: uid }: CreatedWorkflow,
): Observation {
  return {
    namespace,
    name,
    uid,
    deliveryLabel: deliveryLabel(deliveryId),
    version: undefined,
    state: 'submitted',
    progress: '',
    reason: '',
    startedAt: undefined,
    finishedAt: undefined,
    resources: {},
    confirmed: true,
  };
}

/** A run whose workflow is not the one that was created for it. */
interface ForeignWorkflow {
  readonly runId: string;
  readonly state: RunState;
}

/**
 * The workflows among these that do not belong to their runs: another process continued with the run, under another name or after
 * this workflow was gone. Nothing follows such a workflow.
 */
export async function findForeign(
  db: Queryable,
  created: readonly (CreatedWorkflow & { readonly runId: string })[],
): Promise<ForeignWorkflow[]> {
  const { rows } = await db.query<ForeignWorkflow>({
    name: 'find-foreign',
    text: `SELECT run_id AS "runId", state
      FROM unnest($1::uuid[], $2::text[], $3::text[]) AS created (run_id, name, uid) JOIN facteur.runs USING (run_id)
      WHERE workflow_name <> created.name OR workflow_uid <> created.uid`,
    values: [
      created.map(({ runId }) => runId),
      created.map(({ workflowName }) => workflowName),
      created.map(({ workflowUid }) => workflowUid),
    ],
  });
  return rows;
}

function toRow(seen: Observation): Record<string, unknown> {
  return {
    namespace: seen.namespace,
    name: seen.name,
    uid: seen.uid,
    delivery: seen.deliveryLabel,
    version: seen.version?.toString() ?? null,
    state: seen.state,
    progress: seen.progress,
    reason: seen.reason,
    started_at: seen.startedAt ?? null,
    finished_at: seen.finishedAt ?? null,
    resources: seen.resources,
    step: seen.step ?? '',
    results: seen.results ?? [],
    confirmed: seen.confirmed,
  };
}

/** A run that has a workflow in the cluster, as far as the ledger knows. */
export interface LiveRun {
  readonly runId: string;
  readonly namespace: string;
  readonly workflowName: string;
  /** Empty if the workflow was created but its uid has not been read yet. */
  readonly workflowUid: string;
  readonly deliveryId: string;
  readonly state: 'submitted' | 'running';
  /** The newest recorded resource version of its workflow, in digits. */
  readonly version: string | null;
}

interface LiveRunsQuery {
  /** Only runs in this namespace; by default all. */
  readonly namespace?: string;
  /** Only runs whose last change is at least this old, in milliseconds. */
  readonly unchangedForMs: number;
}

/**
 * The live runs, unordered. Also deletes rows that two concurrent followers may leave in `open_runs`: one saw the retry of a run,
 * the other its end, and neither saw the other's row. Runs are locked first, as everywhere.
 */
export async function liveRuns(db: Queryable, query: LiveRunsQuery): Promise<LiveRun[]> {
  const { rows } = await db.query<LiveRun>({
    name: 'live-runs',
    text: `WITH ended AS MATERIALIZED (
        SELECT run_id FROM facteur.open_runs JOIN facteur.runs USING (run_id)
        WHERE in_cluster AND due_at IS NULL AND state = ANY ($3) ORDER BY run_id FOR NO KEY UPDATE OF runs
      ), closed AS (
        DELETE FROM facteur.open_runs USING ended WHERE open_runs.run_id = ended.run_id
      )
      SELECT run_id AS "runId", namespace, workflow_name AS "workflowName", coalesce(workflow_uid, '') AS "workflowUid",
        delivery_id AS "deliveryId", state, greatest(resource_version,
          (SELECT max(seen_version) FROM facteur.approvals WHERE approvals.run_id = runs.run_id))::text AS version
      FROM facteur.open_runs JOIN facteur.runs USING (run_id)
      WHERE in_cluster AND state <> ALL ($3) AND ($1::text IS NULL OR namespace = $1)
        AND updated_at <= now() - make_interval(secs => $2::float8 / 1000)`,
    values: [query.namespace ?? null, query.unchangedForMs, ENDS],
  });
  return rows;
}

/** A live run whose workflow now has an older version than was recorded: the cluster was restored from a backup. */
export interface Rewound {
  readonly runId: string;
  /** The recorded version, in digits. */
  readonly recorded: string;
  /** The workflow's current version, in digits. */
  readonly listed: string;
}

/**
 * Sets the versions to just below the current one, so older events still change nothing. The backup may lack stops and decisions
 * that were written, so they are due again; a workflow that has them does not change. A decision counts as attempted, so that a
 * cancel leaves it in doubt.
 */
const REWIND = `
WITH rewound AS (
  SELECT * FROM json_to_recordset($1::json) AS rewound("runId" uuid, recorded bigint, listed bigint)
), held AS MATERIALIZED (
  SELECT runs.run_id, recorded, listed FROM rewound JOIN facteur.runs ON runs.run_id = "runId"
  WHERE state IN ('submitted', 'running')
  ORDER BY runs.run_id FOR NO KEY UPDATE OF runs
), run AS (
  UPDATE facteur.runs SET resource_version = listed - 1
  FROM held WHERE runs.run_id = held.run_id AND resource_version > listed AND resource_version <= recorded
), to_stop AS (
  UPDATE facteur.open_runs SET due_at = now()
  FROM held WHERE open_runs.run_id = held.run_id AND line = 'stop' AND due_at IS NULL
)
UPDATE facteur.approvals AS a SET
  seen_version = CASE WHEN seen_version > listed AND seen_version <= recorded THEN listed - 1 ELSE seen_version END,
  state = CASE WHEN applied_at IS NULL THEN state ELSE 'deciding' END,
  due_at = CASE WHEN applied_at IS NULL THEN due_at ELSE now() END, attempts = CASE WHEN applied_at IS NULL THEN attempts ELSE 1 END
FROM held WHERE a.run_id = held.run_id`;

/**
 * Makes the current versions of these workflows count as new, and makes stops and decisions in them due again. Runs with newer
 * versions, and ended ones, do not change.
 */
export async function rewindVersions(db: Queryable, rewound: readonly Rewound[]): Promise<void> {
  await db.query({ name: 'rewind-versions', text: REWIND, values: [JSON.stringify(rewound)] });
}
