import type { Queryable } from '../clients/postgres/database.ts';
import { deliveryKey, type DeliveryFamily } from '../domain/delivery.ts';
import { isFinished, type RunState } from '../domain/run-state.ts';
import type { WorkflowPlan } from '../domain/workflow-plan.ts';

/** A run as shown to people. */
export interface RunView {
  readonly runId: string;
  readonly deliveryId: string;
  readonly kind: 'command' | 'codex';
  readonly command: string;
  /** The request in one line; empty if nothing describes it. */
  readonly title: string;
  readonly door: string;
  readonly state: RunState;
  readonly reason: string;
  readonly progress: string;
  readonly namespace: string;
  readonly workflowName: string;
  readonly workflowUid: string;
  readonly correlationId: string;
  readonly userId: string;
  readonly attempts: number;
  readonly retryCount: number;
  /** The run that this one retries, or empty. */
  readonly retryOf: string;
  readonly cancelRequestedBy: string;
  readonly acceptedAt: Date;
  readonly submittedAt: Date | null;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  /** Grows with each visible change. */
  readonly revision: number;
}

/** An event of a run. */
export interface RunEvent {
  readonly at: Date;
  readonly type: string;
  readonly actor: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

export const RUN_COLUMNS = `run_id AS "runId", delivery_id AS "deliveryId", kind, command, title, door, state, reason, progress, namespace,
  workflow_name AS "workflowName", coalesce(workflow_uid, '') AS "workflowUid", correlation_id AS "correlationId",
  user_id AS "userId", attempts, retry_count AS "retryCount", coalesce(retry_of::text, '') AS "retryOf",
  coalesce(cancel_requested_by, '') AS "cancelRequestedBy", accepted_at AS "acceptedAt", submitted_at AS "submittedAt",
  started_at AS "startedAt", finished_at AS "finishedAt", revision`;

export interface RunFilter {
  readonly states?: readonly RunState[] | undefined;
  readonly command?: string | undefined;
  readonly userId?: string | undefined;
  readonly since?: Date | undefined;
  readonly door?: string | undefined;
  /** Text contained in the request, the reason or a name, case-insensitive. */
  readonly text?: string | undefined;
  readonly limit: number;
  /**
   * Only runs accepted before this one: the id of the last run of the previous page. Its time is read from its row, because a
   * JavaScript date loses the microseconds that the Go service wrote.
   */
  readonly before?: string | undefined;
}

/**
 * No index covers a door or a text: these are searched for only among this many of the newest runs that match the other filters.
 */
export const SEARCHED_RUNS = 10_000;

const listed = (isOfKind: string): string => `(SELECT * FROM facteur.runs
  WHERE ($1::text[] IS NULL OR state = ANY($1)) AND ${isOfKind} AND ($2::text IS NULL OR command = $2)
    AND ($3::text IS NULL OR (user_id = $3 AND user_id <> ''))
    AND ($4::uuid IS NULL OR (accepted_at, run_id) < ((SELECT accepted_at FROM facteur.runs WHERE run_id = $4), $4))
    AND ($6::timestamptz IS NULL OR accepted_at >= $6)
  ORDER BY accepted_at DESC, run_id DESC LIMIT $5)`;

/** Each kind of state has its own index, however rare its runs are. */
const KINDS = {
  open: 'run_id IN (SELECT run_id FROM facteur.open_runs)',
  succeeded: `state = 'succeeded'`,
  failure: 'failure = ANY($1)',
} as const;

function kindOf(state: RunState): keyof typeof KINDS {
  if (!isFinished(state)) {
    return 'open';
  }
  return state === 'succeeded' ? state : 'failure';
}

/** The runs in these states (by default in any), limited to the number that is read. */
function listedIn(states: readonly RunState[] | undefined): string {
  const kinds = [...new Set(states?.map(kindOf))].map((kind) => listed(KINDS[kind]));
  return kinds.length < 2
    ? (kinds[0] ?? listed('true'))
    : `(${kinds.join(' UNION ALL ')} ORDER BY accepted_at DESC, run_id DESC LIMIT $5)`;
}

const SEARCHED = `
  WHERE ($8::text IS NULL OR door = $8) AND ($9::text IS NULL
    OR strpos(lower(concat_ws(' ', command, title, reason, workflow_name, delivery_id, user_id)), lower($9)) > 0)
  ORDER BY accepted_at DESC, run_id DESC LIMIT $7`;

/** Runs, newest first. Not a named statement, so each list gets its own plan: some states are rarer than others. */
export async function listRuns(db: Queryable, filter: RunFilter): Promise<RunView[]> {
  const { states, command, userId, before, since, door, text, limit } = filter;
  const isSearch = door !== undefined || text !== undefined;
  const values = [states, command, userId, before, isSearch ? SEARCHED_RUNS : limit, since];
  const { rows } = await db.query<RunView>({
    text: `SELECT ${RUN_COLUMNS} FROM ${listedIn(states)} AS listed ${isSearch ? SEARCHED : ''}`,
    values: [...values, ...(isSearch ? [limit, door, text] : [])].map((value) => value ?? null),
  });
  return rows;
}

const FAMILIES: readonly DeliveryFamily[] = ['codex', 'command', 'discord', 'api', 'derived'];

/** Maximum number of runs listed for the beginning of an id. */
const MAX_CANDIDATES = 5;

/**
 * The runs that a reference may mean: the one with this id or workflow name (the newest if several have the name), or else those
 * whose delivery has this id, with or without its family, or whose run id begins with it. Senders choose delivery ids and could
 * choose the name of another run, so a delivery id never hides a run.
 */
export async function findRuns(db: Queryable, reference: string): Promise<RunView[]> {
  const [from, to] = idRange(reference) ?? [null, null];
  const { rows } = await db.query<RunView & { readonly rank: number }>({
    name: 'find-runs',
    text: `WITH found AS (
        SELECT run_id AS id, 1 AS rank FROM facteur.runs WHERE run_id = $2::uuid
        UNION ALL (SELECT run_id, 2 FROM facteur.runs WHERE workflow_name = $1 ORDER BY accepted_at DESC LIMIT 1)
        UNION ALL (SELECT run_id, 3 FROM facteur.runs WHERE delivery_key = ANY($3) ORDER BY accepted_at DESC LIMIT 1)
        UNION ALL (SELECT run_id, 3 FROM facteur.runs WHERE run_id BETWEEN $4::uuid AND $5::uuid ORDER BY run_id LIMIT ${MAX_CANDIDATES})
      ), best AS (SELECT id, min(rank) AS rank FROM found GROUP BY id)
      SELECT ${RUN_COLUMNS}, rank FROM best JOIN facteur.runs ON run_id = id ORDER BY rank, accepted_at DESC`,
    values: [
      reference,
      isUuid(reference) ? reference : null,
      FAMILIES.map((family) => deliveryKey(family, reference)),
      from,
      to,
    ],
  });
  const exact = rows[0]?.rank !== 3;
  return rows.slice(0, exact ? 1 : MAX_CANDIDATES).map(({ rank: _rank, ...run }) => run);
}

/** The run that a reference means, the first if it may mean several. */
export async function findRun(db: Queryable, reference: string): Promise<RunView | undefined> {
  return (await findRuns(db, reference))[0];
}

/** The first and last id that begin like this; undefined if no id does, or if the text is too short. */
function idRange(reference: string): readonly [string, string] | undefined {
  const digits = reference.toLowerCase();
  const id = '________-____-____-____-____________';
  const fits = digits.length >= 4 && digits.length < id.length && /^[0-9a-f]+(?:-[0-9a-f]*){0,4}$/.test(digits);
  if (!fits || [...digits].some((sign, at) => (sign === '-') !== (id[at] === '-'))) {
    return undefined;
  }
  const rest = id.slice(digits.length);
  return [digits + rest.replaceAll('_', '0'), digits + rest.replaceAll('_', 'f')];
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** A run with its plan, which is null once the run is archived. */
export interface RunWithPlan extends RunView {
  readonly plan: WorkflowPlan | null;
}

/** One run by its id, or undefined. @param onlyRun the only run that the caller may see; null if it may see all */
export async function readRun(db: Queryable, runId: string, onlyRun: string | null): Promise<RunWithPlan | undefined> {
  const { rows } = await db.query<RunWithPlan>({
    name: 'read-run',
    text: `SELECT ${RUN_COLUMNS}, plan FROM facteur.runs WHERE run_id = $1 AND ($2::uuid IS NULL OR run_id = $2)`,
    values: [runId, onlyRun],
  });
  return rows[0];
}

/** The events of a run, oldest first; empty if the run is archived. */
export async function listRunEvents(db: Queryable, runId: string): Promise<RunEvent[]> {
  const { rows } = await db.query<RunEvent>({
    name: 'list-run-events',
    text: `SELECT emitted_at AS at, event_type AS type, coalesce(actor, '') AS actor, payload
      FROM codex_kb.run_events WHERE task_run_id = $1 ORDER BY id`,
    values: [runId],
  });
  return rows;
}

/** The state of a run as shown to its sender. */
interface FoundSubmission {
  readonly state: RunState;
  readonly reason: string;
  readonly workflowName: string;
}

/** The current state of a run, whichever process brought it there. */
export async function findSubmission(db: Queryable, runId: string): Promise<FoundSubmission | undefined> {
  const { rows } = await db.query<FoundSubmission>({
    name: 'find-submission',
    text: `SELECT state, reason, workflow_name AS "workflowName" FROM facteur.runs WHERE run_id = $1`,
    values: [runId],
  });
  return rows[0];
}

/**
 * Whether a run may still report back: `live`, or `ended` if it ended longer ago than the grace period; undefined for an unknown
 * run.
 */
export async function runStanding(
  db: Queryable,
  runId: string,
  graceMs: number,
): Promise<'live' | 'ended' | undefined> {
  const { rows } = await db.query<{ readonly live: boolean }>({
    name: 'run-standing',
    text: `SELECT state IN ('queued', 'submitted', 'running')
        OR greatest(finished_at, updated_at) > now() - make_interval(secs => $2) AS live
      FROM facteur.runs WHERE run_id = $1`,
    values: [runId, graceMs / 1000],
  });
  const [row] = rows;
  if (row === undefined) {
    return undefined;
  }
  return row.live ? 'live' : 'ended';
}
