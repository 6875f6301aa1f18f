import type { Queryable } from '../clients/postgres/database.ts';

/** What waits to be done, and since when. Counts end at {@link COUNTED}: more than that is a flood, whatever its size. */
export interface Backlog {
  /** Runs that are not in the cluster yet. */
  readonly queued: number;
  /** How long the oldest of them has waited, in seconds. */
  readonly queuedSeconds: number;
  readonly submitted: number;
  readonly running: number;
  /** Messages that should show something newer by now. */
  readonly messagesDue: number;
  readonly messagesDueSeconds: number;
  readonly deadLetters: number;
}

export const COUNTED = 100_000;

/** One statement over partial indices: small whatever the ledger's size, as long as little waits. */
const BACKLOG = `
WITH queued AS (
  SELECT accepted_at FROM facteur.runs WHERE due_at IS NOT NULL AND state = 'queued' LIMIT ${COUNTED}
), live AS (
  SELECT state FROM facteur.runs WHERE state IN ('submitted', 'running') LIMIT ${COUNTED}
), due AS (
  SELECT due_at FROM facteur.messages WHERE due_at <= now() LIMIT ${COUNTED}
), kept AS (
  SELECT id FROM facteur.dead_letters LIMIT ${COUNTED}
)
SELECT (SELECT count(*)::int FROM queued) AS queued,
  (SELECT coalesce(extract(epoch FROM now() - min(accepted_at)), 0)::float8 FROM queued) AS "queuedSeconds",
  (SELECT count(*)::int FROM live WHERE state = 'submitted') AS submitted,
  (SELECT count(*)::int FROM live WHERE state = 'running') AS running,
  (SELECT count(*)::int FROM due) AS "messagesDue",
  (SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 FROM due) AS "messagesDueSeconds",
  (SELECT count(*)::int FROM kept) AS "deadLetters"`;

export async function readBacklog(db: Queryable): Promise<Backlog> {
  const { rows } = await db.query<Backlog>({ name: 'backlog', text: BACKLOG });
  const [backlog] = rows;
  if (backlog === undefined) {
    throw new TypeError('a statement that always has one row had none');
  }
  return backlog;
}
