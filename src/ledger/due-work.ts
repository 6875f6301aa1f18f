import type { Queryable } from '../clients/postgres/database.ts';

/** When there is something to do, in milliseconds from now: 0 when it is due already, undefined when nothing waits. */
export interface DueWork {
  /** The next run to be submitted or ended, or whose claim runs out. */
  readonly runsInMs: number | undefined;
  /** The next message to be told, or whose claim runs out. */
  readonly messagesInMs: number | undefined;
}

export interface DueWorkRow {
  readonly runs_in_ms: number | null;
  readonly messages_in_ms: number | null;
}

/** The first entry of each queue's index, whatever the tables hold. */
export const DUE_WORK = `
  SELECT
    (SELECT extract(epoch FROM min(due_at) - now()) * 1000 FROM facteur.runs WHERE due_at IS NOT NULL)::float8 AS runs_in_ms,
    (SELECT extract(epoch FROM min(due_at) - now()) * 1000 FROM facteur.messages WHERE due_at IS NOT NULL)::float8 AS messages_in_ms`;

/** Asks what waits in the queues: the fallback for notifications that were lost, and for processes that died. */
export async function dueWork(db: Queryable): Promise<DueWork> {
  const { rows } = await db.query<DueWorkRow>({ name: 'due-work', text: DUE_WORK });
  return toDueWork(rows[0]);
}

export function toDueWork(row: DueWorkRow | undefined): DueWork {
  return { runsInMs: toWait(row?.runs_in_ms), messagesInMs: toWait(row?.messages_in_ms) };
}

function toWait(ms: number | null | undefined): number | undefined {
  return typeof ms === 'number' ? Math.max(0, ms) : undefined;
}
