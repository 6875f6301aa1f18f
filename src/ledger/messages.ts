import type { Queryable } from '../clients/postgres/database.ts';
import type { RunState } from '../domain/run-state.ts';
import type { NewRun } from '../domain/run.ts';
import type { Approval } from '../domain/approval.ts';
import type { RunResult } from '../domain/run-result.ts';
import { claimedOf, type ClaimRow } from './due-work.ts';
import { IN_LINE, queuePlace, type QueuePlace } from './queue-place.ts';

/** How long one process owns a claimed message, in seconds: longer than the three requests that an update may take. */
export const MESSAGE_CLAIM_SECONDS = 40;

/**
 * Makes the messages of the runs in a table expression due, but not before a claim on them ends. Every statement that changes
 * visible data of a run contains it, and returns a row for each message that needs an update.
 */
export const changeMessages = (runs: string): string => `
  UPDATE facteur.messages SET due_at = greatest(now(), not_before) FROM ${runs} WHERE messages.run_id = ${runs}.run_id
  RETURNING messages.run_id`;

/** The data about a run that its message may show. */
export interface MessageRun {
  readonly runId: string;
  readonly revision: number;
  readonly command: string;
  /** The request in one line; empty if nothing describes it. */
  readonly title: string;
  readonly state: RunState;
  readonly namespace: string;
  readonly workflowName: string;
  /** Empty while unknown. */
  readonly workflowUid: string;
  /** Argo's `done/total`, or empty. */
  readonly progress: string;
  /** The current step of a live run, or what it waits for; empty if unknown. */
  readonly step: string;
  /** The run's results. */
  readonly results: readonly RunResult[];
  /** The run's position in the queue; null if it does not wait, or only for a moment. */
  readonly queue: QueuePlace | null;
  /** Why the run was refused or waits, or the message of the failing step; empty otherwise. */
  readonly reason: string;
  /** The requester's Discord id, or empty. */
  readonly userId: string;
  /** The door of the request. */
  readonly door: string;
  /** The requester as named in the history; empty for Discord, whose users have an id. */
  readonly actor: string;
  /** How often Argo has retried it. */
  readonly retryCount: number;
  readonly traceparent: string;
  readonly cancelRequested: boolean;
  /** Who requested the cancel; empty if nobody did. */
  readonly canceledBy: string;
  /** The message of the run that this one retries, if there is one to link to. */
  readonly retryOf: MessagePlace | null;
  /** The message of the run that retries this one, once it exists. */
  readonly retriedBy: MessagePlace | null;
  readonly acceptedAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  /** Its approvals, open and decided, oldest first. */
  readonly approvals: readonly ShownApproval[];
  /** The number of its reflections that wait for a decision. */
  readonly reflectionsWaiting: number;
}

/** The data about an approval that a message shows. */
export interface ShownApproval extends Pick<
  Approval,
  'key' | 'kind' | 'node' | 'state' | 'fields' | 'rules' | 'votes' | 'verdict' | 'decidedBy' | 'problem'
> {
  readonly expiresAt: string | null;
}

/** The location of a message in Discord. */
interface MessagePlace {
  readonly guildId: string;
  readonly channelId: string;
  readonly messageId: string;
}

/** A due message with its current run, claimed by this process. */
export interface ClaimedMessage extends MessageRun {
  /** The fence: shows on release whether this process still owns the claim. */
  readonly fence: number;
  readonly interactionId: string;
  readonly channelId: string;
  /** Empty until Discord has created the message. */
  readonly messageId: string;
  readonly ephemeral: boolean;
  /** Whom to notify when the run ends: `author`, or `roles:` and their ids; empty for nobody. */
  readonly ping: string;
  /** Whether they were notified. */
  readonly pinged: boolean;
  /** The message shows no progress. */
  readonly quiet: boolean;
  readonly tokenRefused: boolean;
  /** The number of messages that the bot posted. */
  readonly posts: number;
  readonly toldRevision: number;
  /** The state and open approvals that the message shows, or empty. */
  readonly toldState: string;
  readonly toldAt: Date | null;
  /** The line about the run's position in the queue that the message shows, or empty. */
  readonly toldQueue: string;
  /** The run waits to be submitted, even if only for a moment; always false if the message is `quiet`. */
  readonly inLine: boolean;
  /** Consecutive failed attempts. */
  readonly attempts: number;
  readonly createdAt: Date;
  /** By the database's clock, as all other times here; the clock of a process may be wrong. */
  readonly claimedAt: Date;
  /** Why the last update was abandoned; empty if it was not. */
  readonly abandoned: string;
  /** The interaction was already answered for another run, which this one retries. */
  readonly interactionTaken: boolean;
}

export interface ClaimedMessages {
  readonly messages: readonly ClaimedMessage[];
  /** Milliseconds until the next message is due; undefined if none is. */
  readonly nextInMs: number | undefined;
}

/** The location of a message that everybody in its channel can see. */
const PLACE = `jsonb_build_object('guildId', place.guild_id, 'channelId', shown.channel_id, 'messageId', shown.message_id)
  FROM facteur.runs AS place JOIN facteur.messages AS shown ON shown.run_id = place.run_id
  WHERE shown.message_id <> '' AND NOT shown.ephemeral`;

/**
 * One statement that claims due messages with their runs and returns when the next one is due. If the run moves meanwhile, the
 * message becomes due again at `not_before`: when the claim expires or is released.
 */
const CLAIM = `
WITH due AS (
  SELECT run_id FROM facteur.messages WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
), claimed AS (
  UPDATE facteur.messages AS messages SET claims = messages.claims + 1,
    due_at = now() + make_interval(secs => $2), not_before = now() + make_interval(secs => $2)
  FROM due JOIN facteur.runs AS runs ON runs.run_id = due.run_id
  WHERE messages.run_id = due.run_id
  RETURNING messages.run_id AS "runId", messages.claims AS fence, messages.interaction_id AS "interactionId",
    messages.channel_id AS "channelId", messages.message_id AS "messageId", messages.ephemeral,
    messages.ping, messages.pinged_at IS NOT NULL AS pinged, messages.quiet,
    messages.token_refused AS "tokenRefused", messages.posts, messages.told_revision AS "toldRevision",
    messages.told_state AS "toldState", messages.told_at AS "toldAt", messages.told_queue AS "toldQueue",
    NOT messages.quiet AND ${IN_LINE} AS "inLine", CASE WHEN NOT messages.quiet THEN ${queuePlace('$3')} END AS queue, messages.attempts, messages.abandoned,
    messages.created_at AS "createdAt", now() AS "claimedAt", (
      SELECT first.interaction_id FROM facteur.messages first WHERE first.run_id = runs.retry_of
    ) IS NOT DISTINCT FROM messages.interaction_id AS "interactionTaken",
    (SELECT ${PLACE} AND place.run_id = runs.retry_of) AS "retryOf",
    (SELECT ${PLACE} AND delivery_key IN ('retry:' || runs.run_id, 'retry:' || runs.run_id || ':2') AND NOT place.withdrawn LIMIT 1) AS "retriedBy",
    runs.door, CASE WHEN runs.door = 'discord' THEN '' ELSE coalesce((
      SELECT actor FROM codex_kb.run_events WHERE task_run_id = runs.run_id ORDER BY emitted_at, id LIMIT 1), '') END AS actor,
    runs.revision, runs.command, runs.title, runs.step, runs.results, runs.state, runs.namespace, runs.workflow_name AS "workflowName",
    coalesce(runs.workflow_uid, '') AS "workflowUid", runs.progress, runs.reason, runs.user_id AS "userId",
    runs.retry_count AS "retryCount", runs.traceparent, runs.cancel_requested_by IS NOT NULL AS "cancelRequested",
    coalesce(runs.cancel_requested_by, '') AS "canceledBy",
    runs.accepted_at AS "acceptedAt", runs.started_at AS "startedAt", runs.finished_at AS "finishedAt", coalesce((
      SELECT jsonb_agg(jsonb_build_object('key', a.key, 'kind', a.kind, 'node', a.node, 'state', a.state, 'fields', a.fields,
        'rules', a.rules, 'votes', a.votes, 'verdict', a.verdict, 'decidedBy', a.decided_by, 'problem', a.problem,
        'expiresAt', a.expires_at) ORDER BY a.requested_at, a.key)
      FROM facteur.approvals a WHERE a.run_id = runs.run_id), '[]') AS approvals, (
      SELECT count(*)::int FROM codex_kb.reflections r JOIN facteur.reflection_standing s ON s.reflection_id = r.id
      WHERE r.task_run_id = runs.run_id AND s.state = 'quarantined') AS "reflectionsWaiting"
), next AS (
  SELECT (extract(epoch FROM min(due_at) - now()) * 1000)::float8 AS "nextInMs" FROM facteur.messages WHERE due_at > now()
)
SELECT next.*, claimed.* FROM next LEFT JOIN claimed ON true`;

/**
 * Claims up to `limit` due messages, the longest due first; other processes skip them until the claim expires.
 *
 * @param maxActive maximum number of live workflows at a time; undefined for no limit
 */
export async function claimDueMessages(db: Queryable, limit: number, maxActive?: number): Promise<ClaimedMessages> {
  const { rows } = await db.query<ClaimRow<ClaimedMessage>>({
    name: 'claim-due-messages',
    text: CLAIM,
    values: [limit, MESSAGE_CLAIM_SECONDS, maxActive ?? null],
  });
  const { claimed: messages, nextInMs } = claimedOf(rows);
  return { messages, nextInMs };
}

/** Where the message is now, and what can still edit it. */
export interface MessageAddress {
  readonly messageId: string;
  readonly tokenRefused: boolean;
  readonly posts: number;
}

/** The result of handling a claimed message. */
export interface Release extends MessageAddress {
  /**
   * told       the message shows the claimed state of the run
   * postponed  nothing was sent, but without an error: it is too early
   * failed     an attempt failed and will be retried
   * abandoned  nothing can be sent for this state of the run
   */
  readonly outcome: 'told' | 'postponed' | 'failed' | 'abandoned';
  /** When to check again even if the run does not change, in milliseconds; undefined for never. */
  readonly againInMs: number | undefined;
  /** How long to send nothing even if the run changes, in milliseconds. */
  readonly restMs: number;
  /** Why it was abandoned; otherwise empty. */
  readonly reason: string;
  /** The people who asked for it were notified that the run has ended. */
  readonly pinged?: boolean;
  /** The message's line about the run's position in the queue, after a successful update; absent if it has none. */
  readonly queue?: string;
  /** The state and open approvals that the message shows, after a successful update; absent if no approval is open. */
  readonly shown?: string;
}

/**
 * Releases a claimed message. The run is locked during the statement. So a move is either seen here (then the message is due
 * again) or comes later (then the move makes it due). A late process that has lost its claim may just have overwritten the new
 * owner's update: then only another update is scheduled.
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
    told_queue = CASE WHEN claims = $2 AND $7 = 'told' THEN $15 ELSE told_queue END,
    pinged_at = CASE WHEN $14 THEN now() ELSE pinged_at END,
    attempts = CASE WHEN claims <> $2 OR $7 = 'postponed' THEN attempts WHEN $7 = 'told' THEN 0 ELSE attempts + 1 END,
    not_before = CASE WHEN claims = $2 THEN now() + make_interval(secs => $9) ELSE not_before END,
    due_at = CASE WHEN claims <> $2 THEN greatest(now(), not_before)
      WHEN run.revision = $3 THEN now() + make_interval(secs => $8)
      ELSE now() + make_interval(secs => $9) END
  FROM run WHERE messages.run_id = run.run_id
  RETURNING messages.run_id, messages.claims = $2 + 1 AS ours, messages.due_at
), event AS (
  INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
  SELECT task_runs.id, 'message.abandoned', 'facteur', jsonb_build_object('reason', $10::text)
  FROM released JOIN codex_kb.task_runs ON task_runs.id = released.run_id WHERE ours AND $12
), retried AS (
  UPDATE facteur.runs AS earlier SET revision = earlier.revision + 1, updated_at = now()
  FROM released JOIN facteur.runs AS again ON again.run_id = released.run_id
    JOIN facteur.messages AS first ON first.run_id = again.retry_of
  WHERE released.ours AND $13 AND earlier.run_id = first.run_id
    AND (NOT first.ephemeral OR first.created_at > now() - interval '14 minutes')
  RETURNING earlier.run_id
), linked AS (${changeMessages('retried')})
SELECT ours, (extract(epoch FROM due_at - now()) * 1000)::float8 AS "dueInMs",
  EXISTS (SELECT FROM linked) AS "othersDue" FROM released`;

/** The result of a release. */
interface Released {
  /** False if the claim had expired and passed to another process. */
  readonly ours: boolean;
  /** Milliseconds until the message is due again; undefined if only a change of the run makes it due. */
  readonly dueInMs: number | undefined;
  /** The message of the run that this one retries must be updated with a link to this one. */
  readonly othersDue: boolean;
}

export async function releaseMessage(db: Queryable, message: ClaimedMessage, release: Release): Promise<Released> {
  const { rows } = await db.query<{
    readonly ours: boolean;
    readonly dueInMs: number | null;
    readonly othersDue: boolean;
  }>({
    name: 'release-message',
    text: RELEASE,
    values: givenBack(message, release),
  });
  const row = rows[0];
  // No row: the run and its message were archived in the meantime.
  return { ours: row?.ours ?? true, dueInMs: row?.dueInMs ?? undefined, othersDue: row?.othersDue ?? false };
}

/** The parameters of {@link RELEASE}. */
function givenBack(message: ClaimedMessage, release: Release): readonly unknown[] {
  return [
    message.runId,
    message.fence,
    message.revision,
    release.messageId,
    release.tokenRefused,
    release.posts,
    release.outcome,
    release.againInMs === undefined ? null : release.againInMs / 1000,
    release.restMs / 1000,
    release.reason,
    release.shown ?? message.state,
    // Recorded once per reason, not for each change that cannot be shown because of it.
    release.outcome === 'abandoned' && release.reason !== message.abandoned,
    message.messageId === '' && release.messageId !== '',
    release.pinged === true,
    release.queue ?? '',
  ];
}

/** The interaction that a run's message answers, and whether the message is ephemeral; undefined if no message shows the run. */
export async function findMessage(db: Queryable, runId: string): Promise<NewRun['message']> {
  const { rows } = await db.query<NonNullable<NewRun['message']>>({
    name: 'find-message',
    text: 'SELECT interaction_id AS "interactionId", ephemeral FROM facteur.messages WHERE run_id = $1',
    values: [runId],
  });
  return rows[0];
}

/** The locations of the public messages of these runs, for links. */
export async function findPlaces(db: Queryable, runIds: readonly string[]): Promise<ReadonlyMap<string, MessagePlace>> {
  const { rows } = await db.query<MessagePlace & { readonly runId: string }>({
    name: 'find-places',
    text: `SELECT run_id AS "runId", runs.guild_id AS "guildId", shown.channel_id AS "channelId", message_id AS "messageId"
      FROM facteur.messages AS shown JOIN facteur.runs AS runs USING (run_id)
      WHERE run_id = ANY($1) AND message_id <> '' AND NOT ephemeral`,
    values: [runIds],
  });
  return new Map(rows.map((row) => [row.runId, row]));
}

/** The runs among these whose message is ephemeral. */
export async function findPrivate(db: Queryable, runIds: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ readonly runId: string }>({
    name: 'find-private',
    text: `SELECT run_id AS "runId" FROM facteur.messages WHERE run_id = ANY($1) AND ephemeral`,
    values: [runIds],
  });
  return new Set(rows.map(({ runId }) => runId));
}
