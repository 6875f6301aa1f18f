import * as z from 'zod';
import {
  addTask,
  changeTask,
  deleteDependency,
  findTask,
  listDependencies,
  listTasks,
  putDependency,
  type ListedTask,
} from '../../ledger/tasks.ts';
import type { ApiDeps } from './deps.ts';
import { A_DEPENDENCY, A_TASK, DEPENDENCY_PARAMS, IDEA_PARAMS, TASK_PARAMS } from './examples.ts';
import { ApiProblem, invalid, notFound } from './problem.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { answerOf, ID, LIMIT, MOMENT, NO_CURSOR, OBJECT, STORED, TIME, TYPE } from './shapes.ts';

export const TASK = z
  .strictObject({
    taskId: z.uuid(),
    ideaId: z.uuid(),
    stage: z.string(),
    state: z.string().meta({ description: 'The state of its last run, if it has runs.' }),
    assignee: z.string().nullable(),
    slaDeadline: MOMENT.nullable(),
    metadata: STORED,
    createdAt: MOMENT,
    updatedAt: MOMENT,
  })
  .meta({ id: 'Task' });

const DEPENDENCY_TYPE = z.enum(['hard', 'soft', 'approval', 'artifact'], {
  error: 'must be hard, soft, approval or artifact',
});

const DEPENDENCY = z
  .strictObject({ taskId: z.uuid(), dependsOnTaskId: z.uuid(), type: z.string() })
  .meta({ id: 'TaskDependency' });

const TASK_DETAILS = TASK.extend({
  dependencies: z.array(DEPENDENCY).meta({ description: 'The tasks that it waits for.' }),
}).meta({ id: 'TaskDetails' });

const TASK_PATH = z.strictObject({ taskId: ID });
const DEPENDENCY_PATH = TASK_PATH.extend({ dependsOnTaskId: ID });
/** Includes states that the Go service or a person wrote. */
const STATE = z.string().min(1).max(64);
const ASSIGNEE = z.string().min(1).max(256);

/** The stages of the work on ideas, and their dependencies. */
export const TASK_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'GET',
    path: '/v1/tasks',
    operationId: 'listTasks',
    tag: 'tasks',
    summary:
      'List the tasks in one state, last changed first. A page ends after 4 MiB, so it may have fewer than `limit`.',
    who: { scope: 'read' },
    query: z.strictObject({
      state: STATE,
      limit: LIMIT,
      cursor: z
        .string()
        .regex(/^\d{1,18}_[-0-9a-f]{36}$/, NO_CURSOR)
        .optional(),
    }),
    answers: {
      200: {
        description: 'A page of tasks.',
        schema: z.strictObject({
          tasks: z.array(TASK),
          next: z.string().nullable().meta({ description: 'The cursor of the next page; null on the last one.' }),
        }),
      },
    },
    example: { query: { state: 'planned' }, answer: { tasks: [A_TASK], next: null } },
    async handle({ query: { state, limit, cursor } }, { db }: ApiDeps) {
      const after = cursor === undefined ? undefined : fromCursor(cursor);
      const { rows, hasMore } = await listTasks(db, { state, limit, after });
      const last = hasMore ? rows.at(-1) : undefined;
      const tasks = rows.map(({ micros: _micros, ...task }) => task);
      return { status: 200, body: { tasks, next: last === undefined ? null : toCursor(last) } };
    },
  }),
  defineRoute({
    method: 'POST',
    path: '/v1/ideas/{ideaId}/tasks',
    operationId: 'addTask',
    tag: 'tasks',
    summary: 'Add a task to an idea, at most 100, identified by its stage. An existing task does not change.',
    who: { scope: 'operate' },
    params: z.strictObject({ ideaId: ID }),
    body: z.strictObject({
      stage: TYPE.meta({ examples: ['review'] }),
      state: STATE.default('planned'),
      assignee: ASSIGNEE.optional(),
      slaDeadline: TIME.optional(),
      metadata: OBJECT.default({}),
    }),
    answers: {
      201: { description: 'Stored.', schema: TASK },
      200: { description: 'It already existed and did not change.', schema: TASK },
      422: { description: 'The idea has the maximum number of tasks (`limit_reached`).' },
    },
    example: {
      params: IDEA_PARAMS,
      body: { stage: 'review', assignee: 'ada', slaDeadline: '2026-12-24T18:00:00+01:00' },
      answer: A_TASK,
    },
    async handle({ params: { ideaId }, body: { stage, state, assignee, slaDeadline, metadata } }, { db }: ApiDeps) {
      const optional = { assignee: assignee ?? null, slaDeadline: slaDeadline ?? null };
      const task = { ideaId, stage, state, ...optional, metadata };
      return answerOf(await addTask(db, task), { parent: 'idea' });
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/tasks/{taskId}',
    operationId: 'getTask',
    tag: 'tasks',
    summary: 'Show a task and its dependencies.',
    who: { scope: 'read' },
    params: TASK_PATH,
    answers: { 200: { description: 'The task.', schema: TASK_DETAILS } },
    example: { params: TASK_PARAMS, answer: { ...A_TASK, dependencies: [A_DEPENDENCY] } },
    async handle({ params: { taskId } }, { db }: ApiDeps) {
      const task = await findTask(db, taskId);
      if (task === undefined) {
        throw notFound('task');
      }
      return { status: 200, body: { ...task, dependencies: await listDependencies(db, taskId) } };
    },
  }),
  defineRoute({
    method: 'PATCH',
    path: '/v1/tasks/{taskId}',
    operationId: 'changeTask',
    tag: 'tasks',
    summary:
      'Change a task; omitted fields do not change, null clears a field. The state of a task with runs follows its runs.',
    who: { scope: 'operate' },
    params: TASK_PATH,
    body: z.strictObject({
      state: STATE.optional(),
      assignee: ASSIGNEE.nullable().optional(),
      slaDeadline: TIME.nullable().optional(),
      metadata: OBJECT.optional(),
    }),
    answers: { 200: { description: 'The current task.', schema: TASK } },
    example: { params: TASK_PARAMS, body: { state: 'blocked' }, answer: { ...A_TASK, state: 'blocked' } },
    async handle({ params: { taskId }, body: { state, assignee, slaDeadline, metadata } }, { db }: ApiDeps) {
      const task = await changeTask(db, taskId, { state, assignee, slaDeadline, metadata });
      if (task === undefined) {
        throw notFound('task');
      }
      return { status: 200, body: task };
    },
  }),
  defineRoute({
    method: 'PUT',
    path: '/v1/tasks/{taskId}/dependencies/{dependsOnTaskId}',
    operationId: 'putDependency',
    tag: 'tasks',
    summary: 'Make a task wait for another; at most 100.',
    who: { scope: 'operate' },
    params: DEPENDENCY_PATH,
    body: z.strictObject({ type: DEPENDENCY_TYPE.default('hard') }),
    answers: {
      201: { description: 'Stored.', schema: DEPENDENCY },
      200: { description: 'It already existed; its type is now the given one.', schema: DEPENDENCY },
      409: { description: 'The other task waits for this one, directly or indirectly.' },
      422: { description: 'The task has the maximum number of dependencies (`limit_reached`).' },
    },
    example: { params: DEPENDENCY_PARAMS, body: { type: 'hard' }, answer: A_DEPENDENCY },
    async handle({ params: { taskId, dependsOnTaskId }, body: { type } }, { db }: ApiDeps) {
      const written = await putDependency(db, { taskId, dependsOnTaskId, type });
      if (written.kind === 'conflict') {
        const faults = [{ field: 'path.dependsOnTaskId', message: 'is this task, or already waits for it' }];
        throw new ApiProblem(409, 'circular_dependency', 'the dependency would be circular', { faults });
      }
      return answerOf(written, { parent: 'task' });
    },
  }),
  defineRoute({
    method: 'DELETE',
    path: '/v1/tasks/{taskId}/dependencies/{dependsOnTaskId}',
    operationId: 'deleteDependency',
    tag: 'tasks',
    summary: 'Remove a dependency of a task.',
    who: { scope: 'operate' },
    params: DEPENDENCY_PATH,
    answers: { 204: { description: 'Removed.' } },
    example: { params: DEPENDENCY_PARAMS },
    async handle({ params: { taskId, dependsOnTaskId } }, { db }: ApiDeps) {
      if (!(await deleteDependency(db, taskId, dependsOnTaskId))) {
        throw notFound('dependency');
      }
      return { status: 204 };
    },
  }),
];

function toCursor({ micros, taskId }: ListedTask): string {
  return `${micros}_${taskId}`;
}

function fromCursor(cursor: string): { readonly micros: string; readonly taskId: string } {
  const [micros = '', taskId = ''] = cursor.split('_');
  if (!z.uuid().safeParse(taskId).success) {
    throw invalid([{ field: 'query.cursor', message: NO_CURSOR }]);
  }
  return { micros, taskId };
}
