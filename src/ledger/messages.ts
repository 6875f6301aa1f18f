import type { Queryable } from '../clients/postgres/database.ts';
import type { RunState } from '../domain/run-state.ts';

/** How long a claimed message is one process's own, in seconds: longer than the three requests that telling may take. */
export const MESSAGE_CLAIM_SECONDS = 40;

/** A run's message whose turn has come, claimed for this process, with the run as it is now. */
export interface ClaimedMessage {
  readonly runId: string;
  /** Proves on giving back that it is still ours. */
  readonly claim: number;
  readonly interactionId: string;
  readonly channelId: string;
  /** Empty while Discord has not told it. */
  readonly messageId: string;
  readonly ephemeral: boolean;
  readonly tokenRefused: boolean;
  /** Messages that the bot had to post. */
  readonly posts: number;
  readonly toldRevision: number;
  /** The state that the message shows, or empty. */
  readonly toldState: RunState | '';
  readonly toldAt: Date | undefined;
  /** Failed tries in a row. */
  readonly attempts: number;
  readonly createdAt: Date;
  /** Why nothing could be told the last time; empty when it could. */
  readonly abandoned: string;
  /** The interaction was answered for another run, which this one tries again: its message is taken. */
  readonly interactionTaken: boolean;
  readonly run: MessageRun;
}

/** What a message may show of its run. */
export interface MessageRun {
  readonly revision: number;
  readonly command: string;
  readonly state: RunState;
  readonly namespace: string;
  readonly workflowName: string;
  readonly workflowUid: string;
  readonly progress: string;
  readonly reason: string;
  readonly userId: string;
  readonly retryCount: number;
  readonly traceparent: string;
  readonly cancelRequested: boolean;
  readonly acceptedAt: Date;
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
}

export interface ClaimedMessages {
  readonly messages: readonly ClaimedMessage[];
  /** Until the next one is due, in milliseconds; undefined when none is. */
  readonly nextInMs: number | undefined;
}

interface Row {
  readonly next_ms: number | null;
  readonly run_id: string | null;
  readonly claims: number;
  readonly interaction_id: string;
  readonly channel_id: string;
  readonly message_id: string;
  readonly ephemeral: boolean;
  readonly token_refused: boolean;
  readonly posts: number;
  readonly told_revision: number;
  readonly told_state: RunState | '';
  readonly told_at: Date | null;
  readonly attempts: number;
  readonly abandoned: string;
  readonly created_at: Date;
  readonly taken: boolean;
  readonly revision: number;
  readonly command: string;
  readonly state: RunState;
  readonly namespace: string;
  readonly workflow_name: string;
  readonly workflow_uid: string | null;
  readonly progress: string;
  readonly reason: string;
  readonly user_id: string;
  readonly retry_count: number;
  readonly traceparent: string;
  readonly cancel_requested: boolean;
  readonly accepted_at: Date;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
}

/**
 * One statement: what is due, claimed, with its run; and when the next one is. Whoever moves the run meanwhile makes the
 * message due again no sooner than `not_before`, that is when the claim is over or given back.
 */
const CLAIM = `
WITH due AS (
  SELECT run_id FROM facteur.messages WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
), claimed AS (
  UPDATE facteur.messages AS messages SET claims = messages.claims + 1,
    due_at = now() + make_interval(secs => $2), not_before = now() + make_interval(secs => $2)
  FROM due JOIN facteur.runs AS runs ON runs.run_id = due.run_id
  WHERE messages.run_id = due.run_id
  RETURNING messages.run_id, messages.claims, messages.interaction_id, messages.channel_id, messages.message_id,
    messages.ephemeral, messages.token_refused, messages.posts, messages.told_revision, messages.told_state,
    messages.told_at, messages.attempts, messages.abandoned, messages.created_at, runs.retry_of, runs.revision, runs.command, runs.state,
    runs.namespace, runs.workflow_name, runs.workflow_uid, runs.progress, runs.reason, runs.user_id, runs.retry_count,
    runs.traceparent, runs.cancel_requested_by IS NOT NULL AS cancel_requested, runs.accepted_at, runs.started_at, runs.finished_at
), next AS (
  SELECT (extract(epoch FROM min(due_at) - now()) * 1000)::float8 AS next_ms FROM facteur.messages WHERE due_at > now()
)
SELECT next.next_ms, claimed.*, EXISTS (
  SELECT FROM facteur.messages first
  WHERE first.run_id = claimed.retry_of AND first.interaction_id = claimed.interaction_id) AS taken
FROM next LEFT JOIN claimed ON true`;

/** Takes up to `limit` due messages, the longest due first; other processes skip them until the claim runs out. */
export async function claimDueMessages(db: Queryable, limit: number): Promise<ClaimedMessages> {
  const { rows } = await db.query<Row>({
    name: 'claim-due-messages',
    text: CLAIM,
    values: [limit, MESSAGE_CLAIM_SECONDS],
  });
  return {
    messages: rows.flatMap((row) => (row.run_id === null ? [] : [toMessage(row.run_id, row)])),
    nextInMs: rows[0]?.next_ms ?? undefined,
  };
}

function toMessage(runId: string, row: Row): ClaimedMessage {
  return {
    runId,
    claim: row.claims,
    interactionId: row.interaction_id,
    channelId: row.channel_id,
    messageId: row.message_id,
    ephemeral: row.ephemeral,
    tokenRefused: row.token_refused,
    posts: row.posts,
    toldRevision: row.told_revision,
    toldState: row.told_state,
    toldAt: row.told_at ?? undefined,
    attempts: row.attempts,
    abandoned: row.abandoned,
    createdAt: row.created_at,
    interactionTaken: row.taken,
    run: {
      revision: row.revision,
      command: row.command,
      state: row.state,
      namespace: row.namespace,
      workflowName: row.workflow_name,
      workflowUid: row.workflow_uid ?? '',
      progress: row.progress,
      reason: row.reason,
      userId: row.user_id,
      retryCount: row.retry_count,
      traceparent: row.traceparent,
      cancelRequested: row.cancel_requested,
      acceptedAt: row.accepted_at,
      startedAt: row.started_at ?? undefined,
      finishedAt: row.finished_at ?? undefined,
    },
  };
}

/** Where the message is now and who may still change it. */
export interface MessageAddress {
  readonly messageId: string;
  readonly tokenRefused: boolean;
  readonly posts: number;
}

/** What came of a claim, for giving it back. */
export interface Release extends MessageAddress {
  /**
   *   told       the message shows the run as it was claimed
   *   postponed  nothing was sent, for nothing was wrong: it is not time yet
   *   failed     a try failed and there will be another
   *   abandoned  nothing can be done with this state of the run
   */
  readonly outcome: 'told' | 'postponed' | 'failed' | 'abandoned';
  /** When to look again although the run does not move; undefined for not at all. */
  readonly againInMs: number | undefined;
  /** Until then nothing is sent, even if the run moves. */
  readonly restMs: number;
  /** Why, when it was abandoned; else empty. */
  readonly reason: string;
}

/**
 * Gives a claimed message back. Its run is locked for the moment, so that a move is either seen here (then the message
 * is due again) or comes after (then the move makes it due). One who comes late, when the claim is another's already,
 * may just have overwritten what that one told: then nothing is noted but that the message is to be told once more.
 */
const RELEASE = `
WITH run AS MATERIALIZED (
  SELECT run_id, revision FROM facteur.runs WHERE run_id = $1 FOR SHARE
), released AS (
  UPDATE facteur.messages AS messages SET claims = messages.claims + 1,
    message_id = CASE WHEN claims = $2 THEN $4 ELSE message_id END,
    token_refused = CASE WHEN claims = $2 THEN $5 ELSE token_refused END,
    posts = CASE WHEN claims = $2 THEN $6 ELSE posts END,
    abandoned = CASE WHEN claims = $2 THEN $10 ELSE abandoned END,
    told_revision = CASE WHEN claims <> $2 THEN 0 WHEN $7 = 'told' THEN $3 ELSE told_revision END,
    told_state = CASE WHEN claims = $2 AND $7 = 'told' THEN $11 ELSE told_state END,
    told_at = CASE WHEN claims = $2 AND $7 = 'told' THEN now() ELSE told_at END,
    attempts = CASE WHEN claims <> $2 OR $7 = 'postponed' THEN attempts WHEN $7 = 'told' THEN 0 ELSE attempts + 1 END,
    not_before = CASE WHEN claims = $2 THEN now() + make_interval(secs => $9) ELSE not_before END,
    due_at = CASE WHEN claims <> $2 THEN greatest(now(), not_before)
      WHEN run.revision = $3 OR $7 = 'failed' THEN now() + make_interval(secs => $8)
      ELSE now() + make_interval(secs => $9) END
  FROM run WHERE messages.run_id = run.run_id
  RETURNING messages.run_id, messages.claims = $2 + 1 AS ours, messages.due_at
), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT task_runs.id, 'message.abandoned', 'facteur', jsonb_build_object('reason', $10::text)
  FROM released JOIN codex_kb.task_runs ON task_runs.id = released.run_id WHERE ours AND $12
)
SELECT ours, (extract(epoch FROM due_at - now()) * 1000)::float8 AS due_in_ms FROM released`;

/** What giving back found. */
export interface Released {
  /** False when the claim had run out and is another's. */
  readonly ours: boolean;
  /** When the message is due again, in milliseconds; undefined for not as long as the run does not move. */
  readonly dueInMs: number | undefined;
}

export async function releaseMessage(db: Queryable, message: ClaimedMessage, release: Release): Promise<Released> {
  const { rows } = await db.query<{ readonly ours: boolean; readonly due_in_ms: number | null }>({
    name: 'release-message',
    text: RELEASE,
    values: [
      message.runId,
      message.claim,
      message.run.revision,
      release.messageId,
      release.tokenRefused,
      release.posts,
      release.outcome,
      release.againInMs === undefined ? null : release.againInMs / 1000,
      release.restMs / 1000,
      release.reason,
      message.run.state,
      // Once a reason, not once a change that cannot be told for it.
      release.outcome === 'abandoned' && release.reason !== message.abandoned,
    ],
  });
  const row = rows[0];
  // No row: the run was archived meanwhile, and its message with it.
  return { ours: row?.ours ?? true, dueInMs: row?.due_in_ms ?? undefined };
}
