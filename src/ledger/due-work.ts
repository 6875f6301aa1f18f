import { setTimeout } from 'node:timers/promises';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { outsideOfTraces } from '../base/telemetry.ts';
import type { Queryable } from '../clients/postgres/database.ts';
import type { ApprovalRules } from '../domain/approval-rules.ts';

/** Notifies submitters that a run may be due. */
export const SUBMIT_CHANNEL = 'facteur_submit';
/** Notifies notifiers that a message may be due. */
export const MESSAGE_CHANNEL = 'facteur_messages';
/** Notifies the processes that apply decisions or ask for them that an approval may be due. */
export const APPROVAL_CHANNEL = 'facteur_approvals';

/**
 * Notifies every process, including this one, that there may be work. Resolves when the notification was sent or
 * failed: the work is in the ledger, and the sweep finds it. Callers need not wait.
 */
export interface Announcements {
  runsDue(): Promise<void>;
  messagesDue(): Promise<void>;
  approvalsDue(): Promise<void>;
  /** Sends pending notifications immediately, before the database is closed. */
  flush(): Promise<void>;
}

/** Announces one kind of work. */
interface Announcer {
  announce(): Promise<void>;
  flush(): Promise<void>;
}

/** Minimum time between two announcements of one kind, in milliseconds. */
const SPACING_MS = 50;

/**
 * Announces with NOTIFY in separate statements. In the transactions that make the changes, it would serialize their commits,
 * because PostgreSQL keeps notifications in commit order. Announcements that arrive while one is in flight, or shortly after,
 * share the next one.
 */
export function createAnnouncements(db: Queryable, logger: Logger): Announcements {
  const [runs, messages] = [createAnnouncer(db, SUBMIT_CHANNEL, logger), createAnnouncer(db, MESSAGE_CHANNEL, logger)];
  const approvals = createAnnouncer(db, APPROVAL_CHANNEL, logger);
  return {
    runsDue: () => runs.announce(),
    messagesDue: () => messages.announce(),
    approvalsDue: () => approvals.announce(),
    flush: async () => {
      await Promise.all([runs.flush(), messages.flush(), approvals.flush()]);
    },
  };
}

function createAnnouncer(db: Queryable, channel: string, logger: Logger): Announcer {
  let next: Promise<void> | undefined;
  /** The last announcement, and the pause after it. */
  let last: Promise<void> = Promise.resolve();
  let pause = Promise.resolve();
  const hurry = new AbortController();
  const announce = async (): Promise<void> => {
    await pause;
    next = undefined;
    last = say(db, channel, logger);
    pause = last.then(() => shortPause(hurry.signal));
    await last;
  };
  return {
    announce: () => (next ??= announce()),
    flush: async () => {
      hurry.abort();
      await (next ?? last);
    },
  };
}

async function shortPause(signal: AbortSignal): Promise<void> {
  // Rejects when it is aborted.
  await setTimeout(SPACING_MS, undefined, { signal, ref: false }).catch(() => undefined);
}

async function say(db: Queryable, channel: string, logger: Logger): Promise<void> {
  try {
    // One notification may serve many callers.
    await outsideOfTraces(() => db.query({ name: `announce-${channel}`, text: `SELECT pg_notify('${channel}', '')` }));
  } catch (error) {
    logger.info({ channel, error: errorMessage(error) }, 'could not notify other processes; the next sweep finds it');
  }
}

/** A row of a statement that claims work: a claimed row and when the next one is due, or only the latter. */
export type ClaimRow<T> = { readonly nextInMs: number | null } & (T | { readonly runId: null });

/** The rows claimed by such a statement, and the milliseconds until the next one is due; undefined if none is. */
export function claimedOf<T extends { readonly runId: string }>(
  rows: readonly ClaimRow<T>[],
): { readonly claimed: readonly T[]; readonly nextInMs: number | undefined } {
  return {
    claimed: rows.flatMap(({ nextInMs: _nextInMs, ...row }) => (row.runId === null ? [] : [row as unknown as T])),
    nextInMs: rows[0]?.nextInMs ?? undefined,
  };
}

/** When work is due, in milliseconds from now: 0 if it is already due, null if nothing waits. */
export interface DueWork {
  /** The next run to submit or stop, or whose claim expires. */
  readonly runsInMs: number | null;
  /** The next message to update, or whose claim expires. */
  readonly messagesInMs: number | null;
  /** The next decision to apply, approval that expires, or message that asks. */
  readonly approvalsInMs: number | null;
}

/** Reads only the first entry of the queue's index, whatever the size of the table. */
const firstInMs = (table: string, due = 'due_at'): string => `(
  SELECT greatest(0, extract(epoch FROM ${due} - now()) * 1000)::float8 FROM ${table}
  WHERE ${due} IS NOT NULL ORDER BY ${due} LIMIT 1)`;

/** A single row: a {@link DueWork}. */
export const DUE_WORK = `SELECT ${firstInMs('facteur.open_runs')} AS "runsInMs", ${firstInMs('facteur.messages')} AS "messagesInMs",
  least(${firstInMs('facteur.approvals')}, ${firstInMs('facteur.approvals', 'ask_at')}) AS "approvalsInMs"`;

/** Queries the queues: the fallback for lost notifications and dead processes. */
export async function dueWork(db: Queryable): Promise<DueWork> {
  const { rows } = await db.query<DueWork>({ name: 'due-work', text: DUE_WORK });
  return rows[0] ?? { runsInMs: null, messagesInMs: null, approvalsInMs: null };
}

/** The amount of waiting work, and its age. Counts are capped at {@link COUNTED}. */
export interface Backlog {
  /** Runs that are not in the cluster yet. */
  readonly queued: number;
  /** How long the oldest of them has waited, in seconds. */
  readonly queuedSeconds: number;
  readonly submitted: number;
  readonly running: number;
  /** Messages that are due for an update. */
  readonly messagesDue: number;
  readonly messagesDueSeconds: number;
  readonly deadLetters: number;
  /** Approvals that are still undecided. */
  readonly approvals: number;
  readonly approvalsSeconds: number;
  /** The same number by who may decide. */
  readonly approvalRules: readonly CountedRules[];
}

/** Approvals of one command with the same approvers. */
interface CountedRules extends Pick<ApprovalRules, 'approvers' | 'problem'> {
  readonly command: string;
  readonly count: number;
}

const COUNTED = 100_000;

/** A single statement over partial indexes: cheap for any size of the ledger as long as little waits. */
const BACKLOG = `
WITH queued AS (
  SELECT accepted_at FROM facteur.open_runs JOIN facteur.runs USING (run_id)
  WHERE due_at IS NOT NULL AND NOT in_cluster AND state = 'queued' LIMIT ${COUNTED}
), live AS (
  SELECT state FROM facteur.open_runs JOIN facteur.runs USING (run_id) WHERE in_cluster LIMIT ${COUNTED}
), due AS (
  SELECT due_at FROM facteur.messages WHERE due_at <= now() LIMIT ${COUNTED}
), asked AS (
  SELECT requested_at, command, rules -> 'approvers' AS approvers, rules ->> 'problem' AS problem
  FROM facteur.approvals JOIN facteur.runs USING (run_id)
  WHERE approvals.state = 'waiting' AND approvals.kind = 'node' AND runs.state = 'running' LIMIT ${COUNTED}
), kept AS (
  SELECT id FROM facteur.dead_letters WHERE settled_at IS NULL LIMIT ${COUNTED}
)
SELECT (SELECT count(*)::int FROM queued) AS queued,
  (SELECT coalesce(extract(epoch FROM now() - min(accepted_at)), 0)::float8 FROM queued) AS "queuedSeconds",
  (SELECT count(*)::int FROM live WHERE state = 'submitted') AS submitted,
  (SELECT count(*)::int FROM live WHERE state = 'running') AS running,
  (SELECT count(*)::int FROM due) AS "messagesDue",
  (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 FROM due) AS "messagesDueSeconds",
  (SELECT count(*)::int FROM kept) AS "deadLetters",
  (SELECT count(*)::int FROM asked) AS approvals,
  (SELECT coalesce(extract(epoch FROM now() - min(requested_at)), 0)::float8 FROM asked) AS "approvalsSeconds",
  (SELECT coalesce(json_agg(counted), '[]') FROM (
    SELECT command, approvers, problem, count(*)::int AS count FROM asked GROUP BY command, approvers, problem LIMIT 1000
  ) AS counted) AS "approvalRules"`;

export async function readBacklog(db: Queryable): Promise<Backlog> {
  const { rows } = await db.query<Backlog>({ name: 'backlog', text: BACKLOG });
  const [backlog] = rows;
  if (backlog === undefined) {
    throw new TypeError('a statement that always has one row had none');
  }
  return backlog;
}
