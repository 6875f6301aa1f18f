import type { Queryable, Statement } from '../clients/postgres/database.ts';

/**
 * The scope of a run's reports: events, artifacts, reflections, checks, metrics. Every statement takes `onlyRun`, the only run
 * that its caller may access (null for all), so permissions hold even if a route forgets them.
 */
export interface RunScope {
  readonly runId: string;
  readonly onlyRun: string | null;
}

/** The author of a report, who is recorded as the actor in the run's events. */
export interface Reporter extends RunScope {
  readonly actor: string;
}

/**
 * The result of a write.
 *
 * created    stored
 * unchanged  the same was already stored
 * conflict   something else has the same natural key
 * full       the run has reached the maximum number or size
 * not_found  the run is unknown to this caller, or archived
 */
export type Written<T> =
  | { readonly kind: 'created' | 'unchanged'; readonly row: T }
  | { readonly kind: 'conflict' | 'full' | 'not_found' };

/** Maximum number of events of a run: reported events, records of writes, and state changes. */
const MAX_EVENTS = 2000;

/** Maximum size per kind, in bytes of the rows as text: an answer lists all of them. */
const MAX_BYTES = 4 * 1024 * 1024;

/** The run, if the caller may access it and it is not archived. It is locked until the rows that refer to it are written. */
export const RUN_IN_REACH = `run AS (
  SELECT t.id, k.idea_id FROM codex_kb.task_runs t JOIN codex_kb.tasks k ON k.id = t.task_id
  WHERE t.id = $1 AND ($2::uuid IS NULL OR t.id = $2) FOR KEY SHARE OF t
)`;
/** Whether a row of a table with `task_run_id` belongs to that run. */
export const OF_RUN = 'task_run_id = $1 AND ($2::uuid IS NULL OR task_run_id = $2)';
/** Whether the run has room for one more event. */
export const ROOM_FOR_EVENT = `(SELECT count(*) FROM codex_kb.run_events WHERE task_run_id = $1) < ${MAX_EVENTS}`;

/**
 * A kind of report as SQL. $1 and $2 are the {@link RunScope}, $3 is the actor, and the kind's own values follow. The parts of
 * the statement read `run`, and `room.room`: whether there is room for one more.
 */
export interface ReportKind {
  /** The name of the statement that writes it. */
  readonly name: string;
  /** The limited rows, as a FROM clause. */
  readonly counted: string;
  readonly limit: number;
  /** The existing row that this report repeats or replaces. */
  readonly earlier: string;
  /** Stores it if there is room. */
  readonly insert: string;
  /** The event that records it, with a payload from the row; an event needs none. */
  readonly note?: { readonly type: string; readonly payload: string };
  /** The columns of the answer. */
  readonly columns: string;
}

/** Stores a report unless it was already stored: one statement, in which `earlier` still sees the previous rows. */
function writeStatement({ counted, limit, earlier, insert, note, columns }: ReportKind): string {
  const noted =
    note === undefined
      ? ''
      : `, note AS (
    INSERT INTO codex_kb.run_events (task_run_id, event_type, actor, payload)
    SELECT task_run_id, '${note.type}', $3, ${note.payload} FROM added
  )`;
  return `WITH ${RUN_IN_REACH}, room AS (
    SELECT count(*) < ${limit} AND coalesce(sum(octet_length(counted::text)), 0) < ${MAX_BYTES} AND ${ROOM_FOR_EVENT} AS room
    FROM (SELECT * FROM ${counted}) AS counted
  ), earlier AS (
    ${earlier}
  ), added AS (
    ${insert}
    RETURNING *
  )${noted}, present AS (
    SELECT added.*, NOT EXISTS (SELECT FROM earlier) AS written FROM added
    UNION ALL
    SELECT earlier.*, false FROM earlier WHERE NOT EXISTS (SELECT FROM added)
  )
  SELECT EXISTS (SELECT FROM run) AS known, room.room, present.written, ${columns}
  FROM room LEFT JOIN present ON true`;
}

/**
 * Runs a statement that adds a row or finds the existing one. A row that another request commits while the statement waits for it
 * is neither added nor seen: then the statement runs again, and sees it.
 */
export async function addOrFind<T>(statement: () => Promise<T>, found: (result: T) => boolean): Promise<T> {
  const result = await statement();
  return found(result) ? result : statement();
}

/** The row that a statement with `isNew` added or found. @param absent the result if it did neither */
export function writtenRow<Row extends object>(
  rows: readonly (Row & { readonly isNew: boolean })[],
  absent: 'conflict' | 'not_found',
): Written<Row> {
  const [found] = rows;
  if (found === undefined) {
    return { kind: absent };
  }
  const { isNew, ...row } = found;
  return { kind: isNew ? 'created' : 'unchanged', row: row as unknown as Row };
}

/** Stores a report by {@link writeStatement}, and returns the result. @param values from $4 on */
export function writeReport<Row extends object>(
  db: Queryable,
  kind: ReportKind,
  reporter: Reporter,
  values: readonly unknown[],
): Promise<Written<Row>> {
  return addOrFind(
    () => writeOnce<Row>(db, kind, reporter, values),
    (written) => written.kind !== 'conflict',
  );
}

async function writeOnce<Row extends object>(
  db: Queryable,
  kind: ReportKind,
  { runId, onlyRun, actor }: Reporter,
  values: readonly unknown[],
): Promise<Written<Row>> {
  const { rows } = await db.query<Row & { known: boolean; room: boolean; written: boolean | null }>({
    name: kind.name,
    text: writeStatement(kind),
    values: [runId, onlyRun, actor, ...values],
  });
  const [found] = rows;
  if (found === undefined || !found.known) {
    return { kind: 'not_found' };
  }
  const { known: _known, room, written, ...row } = found;
  if (written !== null) {
    return { kind: written ? 'created' : 'unchanged', row: row as unknown as Row };
  }
  return { kind: room ? 'conflict' : 'full' };
}

/** Reads stored reports of a run. @param values from $3 on */
export async function readReports<Row>(
  db: Queryable,
  { runId, onlyRun }: RunScope,
  { name, text, values }: Required<Statement>,
): Promise<Row[]> {
  const { rows } = await db.query<Row>({ name, text, values: [runId, onlyRun, ...values] });
  return rows;
}
