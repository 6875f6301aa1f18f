import type { Queryable } from '../clients/postgres/database.ts';
import { isFinished, RUN_MOVES, RUN_STATES, statesBefore, type RunState } from '../domain/run-state.ts';

/** What a look at one workflow in the cluster showed. */
export interface Observation {
  readonly namespace: string;
  readonly name: string;
  /** Empty only when a workflow of unknown uid is found to be gone. */
  readonly uid: string;
  /** The value of the delivery label, or empty. It tells whose a workflow is as long as its uid is not known. */
  readonly deliveryLabel: string;
  /** The resource version, where it is a number: an older look at the same workflow changes nothing. */
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
  /**
   * The cluster was asked again for this very workflow. Only then is it believed that it vanished, or that a finished
   * one came alive: an event that comes late looks just the same.
   */
  readonly confirmed: boolean;
}

/** What an observation meant for its run. Observations that mean nothing give none. */
export interface Observed {
  readonly runId: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly deliveryLabel: string;
  readonly from: RunState;
  readonly to: RunState;
  readonly traceparent: string;
  /** From what the cluster says of when the workflow began, or ended, to now; undefined when it does not say. */
  readonly lagMs: number | undefined;
  /**
   *   moved        the run has another state now
   *   updated      the same state, with other details
   *   unconfirmed  nothing was changed: ask the cluster for this workflow, and apply what it says as confirmed
   */
  readonly effect: 'moved' | 'updated' | 'unconfirmed';
  /** Somebody had asked for its end before its workflow was known: that is now the submitter's to do. */
  readonly due: boolean;
  /** It has a message, which has something new to show. */
  readonly news: boolean;
}

const MOVES = RUN_STATES.flatMap((from) => RUN_MOVES[from].map((to) => `${from}>${to}`));
const ENDS = RUN_STATES.filter(isFinished);
/** Ended states that Argo's retry leads back from. */
const REVIVABLE = statesBefore('running').filter(isFinished);

/** Whole milliseconds between two times, never negative (clocks differ), null when either is unknown. */
const ms = (from: string, to: string): string =>
  `(extract(epoch FROM ${to} - ${from}) * 1000 * (${to} > ${from})::int)::bigint`;

/**
 * One statement for a whole batch, and the state machine is its filter.
 *
 *   held     the runs that something new was seen of, locked in one order: a workflow is theirs by name and uid
 *   planned  the state to pass through on the way, where the machine has no direct move; every step gets its event
 *   due      what the machine allows; `believed` is false for what has to be confirmed first
 *   moved    from here on as in `move-run.ts`, for many runs. A run that somebody wants ended stays due for the submitter
 *            until it has ended; a new life begins without that wish
 *   run      carries along what the steps after it need: joining it with `moved` again would compare all with all
 */
const OBSERVE = `
WITH seen AS (
  SELECT * FROM json_to_recordset($1::json) AS seen(namespace text, name text, uid text, delivery text, version bigint,
    state text, progress text, reason text, started_at timestamptz, finished_at timestamptz, resources jsonb,
    confirmed boolean)
), held AS MATERIALIZED (
  SELECT runs.run_id, runs.state AS was, runs.finished_at AS ended_at, runs.traceparent,
    runs.cancel_requested_by IS NOT NULL AS unwanted, seen.*
  FROM seen JOIN facteur.runs ON runs.namespace = seen.namespace AND runs.workflow_name = seen.name
  WHERE CASE WHEN runs.workflow_uid IS NOT NULL THEN runs.workflow_uid = seen.uid
      ELSE runs.state IN ('queued', 'submitted')
        AND seen.delivery = left(encode(sha256(convert_to(runs.delivery_id, 'UTF8')), 'hex'), 32) END
    AND (seen.version > runs.resource_version) IS NOT FALSE
    AND (runs.workflow_uid IS NULL OR runs.state <> seen.state
      OR runs.state = 'running' AND runs.progress <> seen.progress
      OR runs.state = ANY($4) AND seen.started_at > runs.started_at)
  ORDER BY runs.run_id FOR NO KEY UPDATE OF runs
), planned AS (
  SELECT held.*, was = ANY($4) AS revived, state = ANY($3) AS ends,
    CASE WHEN was = 'queued' AND state <> 'submitted' THEN 'submitted'
      WHEN was = ANY($4) AND state <> 'running' THEN 'running' END AS via
  FROM held
), due AS (
  SELECT *, via IS NOT NULL OR was <> state AS moves, confirmed OR NOT (revived OR state = 'lost') AS believed
  FROM planned
  WHERE was = state AND via IS NULL
    OR was || '>' || coalesce(via, state) = ANY($2) AND (via IS NULL OR via || '>' || state = ANY($2))
), moved AS (
  UPDATE facteur.runs SET state = due.state,
    previous_state = CASE WHEN due.moves THEN coalesce(due.via, due.was) ELSE runs.previous_state END,
    revision = runs.revision + 1, updated_at = now(),
    workflow_uid = coalesce(runs.workflow_uid, nullif(due.uid, '')),
    resource_version = coalesce(due.version, runs.resource_version),
    progress = CASE WHEN due.revived THEN due.progress ELSE coalesce(nullif(due.progress, ''), runs.progress) END,
    reason = CASE WHEN due.moves THEN due.reason ELSE runs.reason END,
    retry_count = runs.retry_count + due.revived::int,
    submitted_at = coalesce(runs.submitted_at, now()),
    started_at = coalesce(due.started_at, runs.started_at),
    finished_at = CASE WHEN due.ends THEN coalesce(due.finished_at, now()) END,
    cancel_requested_by = CASE WHEN NOT due.revived THEN runs.cancel_requested_by END,
    claimed_until = CASE WHEN NOT (due.was = 'queued' OR due.ends) THEN runs.claimed_until END,
    due_at = CASE WHEN due.ends THEN NULL WHEN due.was <> 'queued' THEN runs.due_at
      WHEN runs.cancel_requested_by IS NOT NULL THEN now() END
  FROM due WHERE runs.run_id = due.run_id AND due.believed
  RETURNING runs.*, due.was, due.via, due.moves, due.revived, due.ends, due.ended_at, due.resources
), run AS (
  UPDATE codex_kb.task_runs SET status = moved.state, updated_at = now(), external_run_id = moved.workflow_name,
    started_at = coalesce(task_runs.started_at, moved.started_at), completed_at = moved.finished_at,
    retry_count = least(moved.retry_count, 32767),
    error_code = CASE WHEN moved.ends AND moved.state <> 'succeeded' THEN moved.state END
  FROM moved WHERE task_runs.id = moved.run_id AND moved.moves
  RETURNING task_runs.id, task_runs.task_id, task_runs.created_at, moved.was, moved.via, moved.state, moved.reason,
    moved.revived, moved.ends, moved.ended_at, moved.accepted_at, moved.started_at AS began_at, moved.finished_at,
    moved.resources, moved.retry_count AS retries, moved.cancel_requested_by
), task AS (
  UPDATE codex_kb.tasks SET state = run.state, updated_at = now()
  FROM run
  WHERE tasks.id = run.task_id AND NOT EXISTS (
    SELECT FROM codex_kb.task_runs newer WHERE newer.task_id = run.task_id AND newer.created_at > run.created_at)
), event AS (
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
), message AS (
  UPDATE facteur.messages SET due_at = greatest(now(), not_before) FROM moved WHERE messages.run_id = moved.run_id
  RETURNING messages.run_id
)
SELECT run_id, namespace, name, uid, delivery, was, state, traceparent,
  (extract(epoch FROM now() - CASE WHEN ends THEN finished_at ELSE started_at END) * 1000)::float8 AS lag_ms,
  CASE WHEN NOT believed THEN 'unconfirmed' WHEN moves THEN 'moved' ELSE 'updated' END AS effect,
  believed AND unwanted AND was = 'queued' AND NOT ends AS to_stop,
  EXISTS (SELECT FROM message WHERE message.run_id = due.run_id) AS news
FROM due`;

interface ObservedRow {
  readonly run_id: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly delivery: string;
  readonly was: RunState;
  readonly state: RunState;
  readonly traceparent: string;
  readonly lag_ms: number | null;
  readonly effect: Observed['effect'];
  readonly to_stop: boolean;
  readonly news: boolean;
}

/**
 * Brings the runs to what was seen of their workflows, and says what that changed. The same batch again, an older one,
 * or workflows that are nobody's change nothing.
 *
 * @param batch at most one observation of a workflow
 * @throws DatabaseError; `postgres.conflict` when two of these met in another order: try again
 */
export async function observeWorkflows(db: Queryable, batch: readonly Observation[]): Promise<Observed[]> {
  const { rows } = await db.query<ObservedRow>({
    name: 'observe-workflows',
    text: OBSERVE,
    values: [JSON.stringify(batch.map(toRow)), MOVES, ENDS, REVIVABLE],
  });
  return rows.map((row) => ({
    runId: row.run_id,
    namespace: row.namespace,
    name: row.name,
    uid: row.uid,
    deliveryLabel: row.delivery,
    from: row.was,
    to: row.state,
    traceparent: row.traceparent,
    lagMs: row.lag_ms ?? undefined,
    effect: row.effect,
    due: row.to_stop,
    news: row.news,
  }));
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
    confirmed: seen.confirmed,
  };
}
