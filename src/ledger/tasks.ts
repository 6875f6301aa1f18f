import type { Database, Queryable } from '../clients/postgres/database.ts';
import { readPage, type Page } from './page.ts';
import { addOrFind, type Written } from './write-report.ts';

/** A stage of the work on an idea: one task per stage. */
interface Task {
  readonly taskId: string;
  readonly ideaId: string;
  readonly stage: string;
  /** The state of its newest run, if it has runs. */
  readonly state: string;
  readonly assignee: string | null;
  readonly slaDeadline: Date | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A prerequisite: `hard`, `soft`, `approval` or `artifact` says how strict it is. */
interface Dependency {
  readonly taskId: string;
  readonly dependsOnTaskId: string;
  readonly type: string;
}

type NewTask = Omit<Task, 'taskId' | 'createdAt' | 'updatedAt' | 'slaDeadline'> & {
  readonly slaDeadline: string | null;
};

/** Maximum number of tasks per idea, and of dependencies per task. */
const MAX_TASKS = 100;
/** Held while adding a dependency, so that two concurrent ones cannot close a cycle. */
const DEPENDENCY_LOCK = 7_233_114;

const TASK = `id AS "taskId", idea_id AS "ideaId", stage, state, assignee, sla_deadline AS "slaDeadline", metadata,
  created_at AS "createdAt", updated_at AS "updatedAt"`;

interface TaskQuery {
  readonly state: string;
  /** The end of the previous page: the time of its last task's change, in microseconds, and its id. */
  readonly after?: { readonly micros: string; readonly taskId: string } | undefined;
  readonly limit: number;
}

/** A task in a list, with the cursor to continue from. */
export interface ListedTask extends Task {
  readonly micros: string;
}

/** Tasks in one state, most recently changed first. */
export async function listTasks(db: Queryable, { state, after, limit }: TaskQuery): Promise<Page<ListedTask>> {
  return readPage<ListedTask>(db, {
    columns: `${TASK}, (extract(epoch FROM updated_at) * 1000000)::bigint AS micros`,
    from: `codex_kb.tasks WHERE state = $1
      AND ($2::bigint IS NULL OR (updated_at, id) < ('epoch'::timestamptz + $2 * interval '1 microsecond', $3::uuid))`,
    order: 'updated_at DESC, id DESC',
    large: ['metadata'],
    values: [state, after?.micros ?? null, after?.taskId ?? null],
    limit,
  });
}

/** The tasks of an idea, oldest first. */
export async function listTasksOfIdea(db: Queryable, ideaId: string): Promise<Task[]> {
  const { rows } = await db.query<Task>({
    name: 'list-tasks-of-idea',
    text: `SELECT ${TASK} FROM codex_kb.tasks WHERE idea_id = $1 ORDER BY created_at, id`,
    values: [ideaId],
  });
  return rows;
}

export async function findTask(db: Queryable, taskId: string): Promise<Task | undefined> {
  const { rows } = await db.query<Task>({
    name: 'find-task',
    text: `SELECT ${TASK} FROM codex_kb.tasks WHERE id = $1`,
    values: [taskId],
  });
  return rows[0];
}

/** The prerequisites of a task, oldest first. */
export async function listDependencies(db: Queryable, taskId: string): Promise<Dependency[]> {
  const { rows } = await db.query<Dependency>({
    name: 'list-dependencies',
    text: `SELECT task_id AS "taskId", depends_on_task_id AS "dependsOnTaskId", dependency_type AS type
      FROM codex_kb.task_dependencies WHERE task_id = $1 ORDER BY created_at, depends_on_task_id`,
    values: [taskId],
  });
  return rows;
}

/** Adds a task to an idea; an existing task of the same stage does not change. */
export function addTask(db: Queryable, task: NewTask): Promise<Written<Task>> {
  return addOrFind(
    () => addTaskOnce(db, task),
    (written) => written.kind !== 'full',
  );
}

async function addTaskOnce(db: Queryable, task: NewTask): Promise<Written<Task>> {
  const { ideaId, stage, state, assignee, slaDeadline, metadata } = task;
  const { rows } = await db.query<Task & { readonly known: boolean; readonly written: boolean | null }>({
    name: 'add-task',
    text: `WITH idea AS (SELECT id FROM codex_kb.ideas WHERE id = $1), added AS (
        INSERT INTO codex_kb.tasks (idea_id, stage, state, assignee, sla_deadline, metadata)
        SELECT id, $2, $3, $4, $5::timestamptz, $6::jsonb FROM idea
        WHERE (SELECT count(*) FROM codex_kb.tasks WHERE idea_id = $1) < ${MAX_TASKS}
        ON CONFLICT (idea_id, stage) DO NOTHING RETURNING *
      ), present AS (
        SELECT added.*, true AS written FROM added
        UNION ALL
        SELECT t.*, false FROM codex_kb.tasks t WHERE t.idea_id = $1 AND t.stage = $2
      )
      SELECT EXISTS (SELECT FROM idea) AS known, written, ${TASK} FROM (SELECT) AS one LEFT JOIN present ON true`,
    values: [ideaId, stage, state, assignee, slaDeadline, JSON.stringify(metadata)],
  });
  const [row] = rows;
  if (row === undefined || !row.known) {
    return { kind: 'not_found' };
  }
  const { known: _known, written, ...found } = row;
  return written === null ? { kind: 'full' } : { kind: written ? 'created' : 'unchanged', row: found };
}

/** Undefined fields do not change; null clears a field. */
interface TaskChange {
  readonly state: string | undefined;
  readonly assignee: string | null | undefined;
  readonly slaDeadline: string | null | undefined;
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
}

/** The current task, or undefined if there is none. */
export async function changeTask(db: Queryable, taskId: string, change: TaskChange): Promise<Task | undefined> {
  const { state, assignee, slaDeadline, metadata } = change;
  const { rows } = await db.query<Task>({
    name: 'change-task',
    text: `UPDATE codex_kb.tasks SET state = coalesce($2, state), assignee = CASE WHEN $3 THEN $4 ELSE assignee END,
        sla_deadline = CASE WHEN $5 THEN $6::timestamptz ELSE sla_deadline END,
        metadata = coalesce($7::jsonb, metadata), updated_at = now()
      WHERE id = $1 RETURNING ${TASK}`,
    values: [
      taskId,
      state ?? null,
      assignee !== undefined,
      assignee ?? null,
      slaDeadline !== undefined,
      slaDeadline ?? null,
      metadata === undefined ? null : JSON.stringify(metadata),
    ],
  });
  return rows[0];
}

/**
 * Makes a task depend on another.
 *
 * @returns `conflict` if the other depends on it, directly or indirectly
 */
export async function putDependency(db: Database, dependency: Dependency): Promise<Written<Dependency>> {
  const { taskId, dependsOnTaskId, type } = dependency;
  return db.transaction(async (tx) => {
    await tx.query({ text: 'SELECT pg_advisory_xact_lock($1)', values: [DEPENDENCY_LOCK] });
    const { rows } = await tx.query<{ known: boolean; circular: boolean; room: boolean; isNew: boolean | null }>({
      name: 'put-dependency',
      text: `WITH RECURSIVE waits AS (
          SELECT $2::uuid AS id
          UNION
          SELECT d.depends_on_task_id FROM codex_kb.task_dependencies d JOIN waits ON d.task_id = waits.id
        ), judged AS (
          SELECT (SELECT count(*) FROM codex_kb.tasks WHERE id IN ($1::uuid, $2::uuid)) = 2 AS known,
            EXISTS (SELECT FROM waits WHERE id = $1) AS circular,
            (SELECT count(*) FROM codex_kb.task_dependencies WHERE task_id = $1 AND depends_on_task_id <> $2) < ${MAX_TASKS} AS room
        ), put AS (
          INSERT INTO codex_kb.task_dependencies (task_id, depends_on_task_id, dependency_type)
          SELECT $1, $2, $3 FROM judged WHERE known AND NOT circular AND room
          ON CONFLICT (task_id, depends_on_task_id) DO UPDATE SET dependency_type = EXCLUDED.dependency_type
          RETURNING xmax = 0 AS "isNew"
        )
        SELECT judged.*, put."isNew" FROM judged LEFT JOIN put ON true`,
      values: [taskId, dependsOnTaskId, type],
    });
    const [row] = rows;
    if (row === undefined || (!row.known && taskId !== dependsOnTaskId)) {
      return { kind: 'not_found' };
    }
    if (row.isNew !== null) {
      return { kind: row.isNew ? 'created' : 'unchanged', row: dependency };
    }
    return { kind: row.circular ? 'conflict' : 'full' };
  });
}

/** @returns false when there was none */
export async function deleteDependency(db: Queryable, taskId: string, dependsOnTaskId: string): Promise<boolean> {
  const { rowCount } = await db.query({
    name: 'delete-dependency',
    text: 'DELETE FROM codex_kb.task_dependencies WHERE task_id = $1 AND depends_on_task_id = $2',
    values: [taskId, dependsOnTaskId],
  });
  return rowCount > 0;
}
