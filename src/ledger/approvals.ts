import type { Queryable } from '../clients/postgres/database.ts';
import { CANCELED, endsWaiting, whyOver, type Approval, type ApprovalState, type Waiting } from '../domain/approval.ts';
import type { Verdict } from '../domain/approval-rules.ts';
import { isFinished, type RunState } from '../domain/run-state.ts';
import { changeMessages } from './messages.ts';
import { readPage, type Page } from './page.ts';

/** The parts of an observed workflow that concern approvals. */
interface SeenWaiting {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly version: bigint | undefined;
  readonly state: RunState;
  /** `Stop`, `Terminate`, or empty. */
  readonly shutdown?: string;
  readonly waiting: readonly Waiting[];
  /** Why approvals lapsed, by key. */
  readonly lapses?: Readonly<Record<string, string>>;
}

const COLUMNS = `run_id AS "runId", key, kind, node, template, fields, rules, state, requested_at AS "requestedAt",
  expires_at AS "expiresAt", votes, verdict, decided_by AS "decidedBy", decided_at AS "decidedAt", reason, outputs, problem,
  command, run_state AS "runState", namespace, workflow_name AS "workflowName", workflow_uid AS "workflowUid"`;

/** Approvals with columns of their runs. */
const APPROVALS = `(SELECT a.*, r.command, r.state AS run_state, r.namespace, r.workflow_name
  FROM facteur.approvals a JOIN facteur.runs r USING (run_id)) approvals`;

/** Bumps the revisions of the changed runs and makes their messages due. Runs are always locked before approvals. */
const SHOW = `bumped AS (
  UPDATE facteur.runs SET revision = revision + 1, updated_at = now()
  FROM (SELECT DISTINCT run_id FROM changed) AS changed WHERE runs.run_id = changed.run_id
  RETURNING runs.run_id
), message AS (${changeMessages('bumped')})`;

/** If the approval has a message, or is about to get one, that message must show the outcome. */
export const ASK_AGAIN = `CASE WHEN a.ask_message <> '' OR a.ask_at IS NOT NULL THEN now() END`;

/**
 * Opens new approvals, and closes those that no longer wait although nobody decided them here. An approval that waits again is
 * asked for again, because its message says that it is closed. A decided approval is never opened again, and an older version of
 * the workflow changes nothing.
 */
const RECORD = `
WITH seen AS (
  SELECT * FROM json_to_recordset($1::json) AS seen(namespace text, name text, uid text, version bigint, why text,
    "exitWhy" text, lapses jsonb, waiting jsonb)
), held AS MATERIALIZED (
  SELECT runs.run_id, runs.state = 'running' AND (seen.version < runs.resource_version) IS NOT TRUE AS live,
    runs.cancel_requested_by IS NOT NULL AS canceled, seen.*
  FROM seen JOIN facteur.runs ON runs.namespace = seen.namespace AND runs.workflow_name = seen.name
    AND runs.workflow_uid = seen.uid
  ORDER BY runs.run_id FOR NO KEY UPDATE OF runs
), opened AS (
  INSERT INTO facteur.approvals AS a (run_id, key, kind, workflow_uid, node_id, node, template, started_at, on_exit, fields, rules,
    seen_version, ask_at, ask_channel, expires_at, due_at)
  SELECT run_id, w.key, w.kind, uid, w."nodeId", w.node, w.template, w."startedAt", w."onExit", w.fields, w.rules, version,
    CASE WHEN w.kind = 'node' AND channel.id <> '' THEN now() END, channel.id,
    now() + make_interval(secs => (w.rules->>'timeoutSeconds')::float8),
    CASE WHEN w.kind = 'node' AND w.rules->>'onTimeout' <> 'leave'
      THEN now() + make_interval(secs => (w.rules->>'timeoutSeconds')::float8) END
  FROM held CROSS JOIN LATERAL jsonb_to_recordset(held.waiting) AS w(key text, kind text, "nodeId" text, node text,
    template text, "startedAt" text, "onExit" boolean, fields jsonb, rules jsonb)
  CROSS JOIN LATERAL (SELECT coalesce(nullif(w.rules->>'channel', ''),
    (SELECT channel_id FROM facteur.messages WHERE messages.run_id = held.run_id AND NOT ephemeral), '') AS id) AS channel
  WHERE live AND (w."onExit" OR NOT canceled)
  ON CONFLICT (run_id, key) DO UPDATE SET state = 'waiting', problem = '', seen_version = EXCLUDED.seen_version,
    due_at = CASE WHEN EXCLUDED.due_at IS NOT NULL THEN a.expires_at END, ask_at = EXCLUDED.ask_at,
    ask_channel = CASE WHEN a.ask_message = '' THEN EXCLUDED.ask_channel ELSE a.ask_channel END
    WHERE a.state = 'gone' AND a.verdict IS NULL AND EXCLUDED.seen_version > a.seen_version
  RETURNING run_id, key, kind, node, 'approval.requested' AS event
), closed AS (
  UPDATE facteur.approvals AS a SET state = 'gone', due_at = NULL, ask_at = ${ASK_AGAIN}, seen_version = coalesce(held.version, a.seen_version),
    problem = CASE WHEN a.kind <> 'node' THEN '' ELSE coalesce(held.lapses->>a.key, CASE WHEN a.on_exit THEN held."exitWhy" ELSE held.why END) END
  FROM held
  WHERE a.run_id = held.run_id AND a.state = 'waiting' AND (held.version > a.seen_version) IS NOT FALSE
    AND NOT held.waiting @> jsonb_build_array(jsonb_build_object('key', a.key))
  RETURNING a.run_id, a.key, a.kind, a.node, 'approval.gone' AS event
), changed AS (
  SELECT * FROM opened UNION ALL SELECT * FROM closed
), ${SHOW}, event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT run_id, event, 'facteur', jsonb_build_object('node', node, 'key', key)
  FROM changed JOIN codex_kb.task_runs ON task_runs.id = run_id WHERE kind = 'node'
)
SELECT run_id AS "runId", EXISTS (SELECT FROM message WHERE message.run_id = bumped.run_id) AS "messageChanged" FROM bumped`;

/** Updates the approvals to what workflows wait for. @returns the runs with changes */
export async function recordWaiting(
  db: Queryable,
  seen: readonly SeenWaiting[],
): Promise<{ readonly runId: string; readonly messageChanged: boolean }[]> {
  const { rows } = await db.query<{ readonly runId: string; readonly messageChanged: boolean }>({
    name: 'record-waiting',
    text: RECORD,
    values: [
      JSON.stringify(
        seen.map((workflow) => ({
          namespace: workflow.namespace,
          name: workflow.name,
          uid: workflow.uid,
          version: workflow.version?.toString() ?? null,
          why: whyGone(workflow, false),
          exitWhy: whyGone(workflow, true),
          lapses: workflow.lapses ?? {},
          waiting: workflow.waiting,
        })),
      ),
    ],
  });
  return rows;
}

function whyGone({ state, shutdown = '', waiting }: SeenWaiting, onExit: boolean): string {
  return whyOver({
    hasFailed: isFinished(state) && state !== 'succeeded',
    isStopping: endsWaiting(shutdown, { onExit, isLive: !isFinished(state) }),
    isUnseen: waiting.some(({ kind }) => kind === 'offloaded'),
  });
}

/** A write of the decision has begun, and its answer may be lost. */
const IN_DOUBT = `a.state = 'deciding' AND a.attempts > 0`;

/**
 * Closes a run's open approvals, and decisions that are not in its workflow yet: in a run that is being canceled, only exit
 * handlers may continue. A decision whose write has begun stays open until the workflow shows whether it arrived. A separate
 * statement after the one that locked the run, because it must see every approval opened before the lock.
 *
 * @returns whether there were any
 */
export async function closeApprovals(tx: Queryable, runId: string): Promise<boolean> {
  const { rows } = await tx.query<{ readonly any: boolean }>({
    name: 'close-approvals',
    text: `WITH closed AS (
        UPDATE facteur.approvals AS a SET problem = $2, ask_at = ${ASK_AGAIN},
          state = CASE WHEN ${IN_DOUBT} THEN a.state ELSE 'gone' END, due_at = CASE WHEN ${IN_DOUBT} THEN a.due_at END
        WHERE run_id = $1 AND kind = 'node' AND state IN ('waiting', 'deciding') AND NOT on_exit
        RETURNING run_id, key, node, state
      ), event AS (
        INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
        SELECT run_id, 'approval.gone', 'facteur', jsonb_build_object('node', node, 'key', key)
        FROM closed JOIN codex_kb.task_runs ON task_runs.id = run_id WHERE state = 'gone'
      )
      SELECT EXISTS (SELECT FROM closed) AS any`,
    values: [runId, CANCELED],
  });
  return rows[0]?.any === true;
}

/** The uids of workflows in a namespace that wait, as far as the ledger knows. */
export async function waitingUids(db: Queryable, namespace: string): Promise<string[]> {
  const { rows } = await db.query<{ readonly uid: string }>({
    name: 'waiting-uids',
    text: `SELECT DISTINCT a.workflow_uid AS uid FROM facteur.approvals a JOIN facteur.runs r USING (run_id)
      WHERE a.state = 'waiting' AND r.namespace = $1`,
    values: [namespace],
  });
  return rows.map(({ uid }) => uid);
}

/** A person's decision. */
export interface Decision {
  readonly runId: string;
  readonly key: string;
  readonly verdict: Verdict;
  readonly actor: {
    readonly id: string;
    readonly name: string;
  };
  /** Decides even if more people would have to approve: for operators. */
  readonly alone: boolean;
  readonly reason: string;
  /** All approvers must agree on these. */
  readonly outputs: Readonly<Record<string, string>>;
}

const DECIDE = `
WITH run AS (
  SELECT run_id FROM facteur.runs WHERE run_id = $1 AND state = 'running' FOR NO KEY UPDATE
), changed AS (
  UPDATE facteur.approvals AS a SET
    votes = CASE WHEN $3 = 'approved' THEN a.votes || vote.cast ELSE a.votes END,
    outputs = $7::jsonb,
    state = CASE WHEN vote.alone OR (SELECT count(*) FROM jsonb_object_keys(a.votes || vote.cast)) >= (a.rules->>'quorum')::int
      THEN 'deciding' ELSE 'waiting' END,
    verdict = CASE WHEN vote.alone OR (SELECT count(*) FROM jsonb_object_keys(a.votes || vote.cast)) >= (a.rules->>'quorum')::int
      THEN $3 END,
    due_at = CASE WHEN vote.alone OR (SELECT count(*) FROM jsonb_object_keys(a.votes || vote.cast)) >= (a.rules->>'quorum')::int
      THEN now() ELSE a.due_at END,
    decided_by = $5, decided_at = now(), reason = $6, attempts = 0
  FROM run, (SELECT $8 OR $3 = 'rejected' AS alone,
    jsonb_build_object($4::text, jsonb_build_object('name', $5::text, 'at', now())) AS cast) AS vote
  WHERE a.run_id = run.run_id AND a.key = $2 AND a.kind = 'node' AND a.state = 'waiting'
    AND NOT ($3 = 'approved' AND a.votes ? $4)
    AND ($8 OR $3 = 'rejected' OR a.votes = '{}' OR a.outputs = $7::jsonb)
  RETURNING a.run_id, a.node, a.key, a.state
), ${SHOW}, event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT run_id, CASE state WHEN 'deciding' THEN 'approval.decided' ELSE 'approval.voted' END, $5,
    jsonb_strip_nulls(jsonb_build_object('node', node, 'key', key, 'verdict', $3::text, 'by', $4::text,
      'reason', nullif($6, ''), 'outputs', $7::jsonb))
  FROM changed JOIN codex_kb.task_runs ON task_runs.id = run_id
)
SELECT state, EXISTS (SELECT FROM message) AS "messageChanged" FROM changed`;

/**
 * Records a decision, or a vote if several people must approve. The first decision wins: later ones find the approval decided.
 *
 * @returns undefined if it no longer waits, this person already approved, or somebody approved with other outputs
 */
export async function decideApproval(
  db: Queryable,
  { runId, key, verdict, actor, alone, reason, outputs }: Decision,
): Promise<{ readonly state: 'waiting' | 'deciding'; readonly messageChanged: boolean } | undefined> {
  const { rows } = await db.query<{ readonly state: 'waiting' | 'deciding'; readonly messageChanged: boolean }>({
    name: 'decide-approval',
    text: DECIDE,
    values: [runId, key, verdict, actor.id, actor.name, reason, JSON.stringify(outputs), alone],
  });
  return rows[0];
}

/** An approval by its run and key. */
export async function findApproval(db: Queryable, runId: string, key: string): Promise<Approval | undefined> {
  const { rows } = await db.query<Approval>({
    name: 'find-approval',
    text: `SELECT ${COLUMNS} FROM ${APPROVALS} WHERE run_id = $1 AND key = $2`,
    values: [runId, key],
  });
  return rows[0];
}

/** The runs among these that wait for approval. */
export async function runsWaiting(db: Queryable, runIds: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ readonly runId: string }>({
    name: 'runs-waiting',
    text: `SELECT DISTINCT run_id AS "runId" FROM facteur.approvals
      WHERE run_id = ANY($1::uuid[]) AND kind = 'node' AND state = 'waiting'`,
    values: [runIds],
  });
  return new Set(rows.map(({ runId }) => runId));
}

/** The user ids of the people who requested a run and the runs that it retries; at most 100. */
export async function findStarters(db: Queryable, runId: string): Promise<string[]> {
  const { rows } = await db.query<{ readonly userId: string }>({
    name: 'find-starters',
    text: `WITH RECURSIVE chain AS (
        SELECT run_id, retry_of, user_id, 1 AS depth FROM facteur.runs WHERE run_id = $1
        UNION ALL
        SELECT r.run_id, r.retry_of, r.user_id, chain.depth + 1
        FROM chain JOIN facteur.runs r ON r.run_id = chain.retry_of WHERE chain.depth < 100
      )
      SELECT DISTINCT user_id AS "userId" FROM chain WHERE user_id <> ''`,
    values: [runId],
  });
  return rows.map(({ userId }) => userId);
}

/** The identity of an approval. */
export type ApprovalId = Pick<Approval, 'runId' | 'key'>;

export interface ApprovalFilter {
  /** Approvals of this run; absent for all runs. */
  readonly runId?: string | undefined;
  /** Absent for all. */
  readonly states?: readonly ApprovalState[] | undefined;
  readonly command?: string | undefined;
  readonly limit: number;
  /** Continues after this approval. */
  readonly after?: ApprovalId | undefined;
}

/** Approvals, oldest first. */
export async function listApprovals(
  db: Queryable,
  { runId, states, command, limit, after }: ApprovalFilter,
): Promise<Page<Approval>> {
  return readPage<Approval>(db, {
    columns: COLUMNS,
    from: `${APPROVALS} WHERE kind = 'node' AND ($1::uuid IS NULL OR run_id = $1)
      AND ($2::text[] IS NULL OR state = ANY($2) AND (state <> 'waiting' OR run_state = 'running'))
      AND ($3::text IS NULL OR command = $3)
      AND ($4::uuid IS NULL OR (requested_at, run_id, key) > (
        SELECT last.requested_at, last.run_id, last.key FROM facteur.approvals last WHERE last.run_id = $4 AND last.key = $5))`,
    order: 'requested_at, run_id, key',
    // A choice may have thousands of characters, and a field hundreds of choices.
    large: ['fields', 'rules', 'outputs'],
    values: [runId ?? null, states ?? null, command ?? null, after?.runId ?? null, after?.key ?? null],
    limit,
  });
}
