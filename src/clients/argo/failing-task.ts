import { fieldsOf, listOf } from '../../base/json.ts';
import { createTemplates } from './stored-template.ts';
import { firstFailure, hasFailed, stringOf, type WorkflowNode } from './workflow-nodes.ts';

type Json = Readonly<Record<string, unknown>>;
type Nodes = ReadonlyMap<string, WorkflowNode>;

/** The task's name at the start of its nodes' names, up to a separator: `a(0:item)`, `a[0].step`, `a.onExit`. */
const TASK = /^[-\w]+/;

/**
 * The task that made a DAG fail, by the controller's rules: a failure counts if it reaches the end of the DAG only through tasks
 * that were omitted because of it. A later task that ran and completed overrules it, and `continueOn` forgives it. If several
 * remain, the one that ended first.
 */
export function failingTask(dag: WorkflowNode, nodes: Nodes, status: Json): WorkflowNode | undefined {
  const all = [...nodes.values()];
  const tasks = tasksOf(dag, all);
  const tolerant = tolerantTasks(createTemplates(nodes, status)(dag));
  const reaching = reachingEnd(tasks, linksOf(dag, all, tasks));
  const counting = [...tasks].filter(([name, { phase }]) => !tolerant.has(`${name} ${phase}`) && reaching.has(name));
  return firstFailure(counting.map(([, task]) => task));
}

/** The names of a task and of a direct successor. */
type Link = readonly [before: string, after: string];

/** The tasks whose failure no later task overruled: walks back from the tasks without successors. */
function reachingEnd(tasks: ReadonlyMap<string, WorkflowNode>, links: readonly Link[]): ReadonlySet<string> {
  const before = Map.groupBy(links, ([, after]) => after);
  const followed = new Set(links.map(([name]) => name));
  const reaching = new Set([...tasks.keys()].filter((name) => !followed.has(name)));
  // A set iterates over elements that are added during the iteration.
  for (const name of reaching) {
    if (!hasCompleted(tasks.get(name))) {
      before.get(name)?.forEach(([previous]) => reaching.add(previous));
    }
  }
  return reaching;
}

function hasCompleted(task: WorkflowNode | undefined): boolean {
  return task !== undefined && (task.phase === 'Succeeded' || hasFailed(task));
}

/** The started tasks, by name. */
function tasksOf(dag: WorkflowNode, nodes: readonly WorkflowNode[]): ReadonlyMap<string, WorkflowNode> {
  const own = nodes.flatMap((node): [string, WorkflowNode][] => {
    const name = taskOf(dag, node);
    return node.name === `${dag.name}.${name}` && node.boundaryId === dag.id && !node.hooked ? [[name, node]] : [];
  });
  return new Map(own);
}

/** The task that a node is or belongs to; empty for other nodes. */
function taskOf(dag: WorkflowNode, { name }: WorkflowNode): string {
  const prefix = `${dag.name}.`;
  return name.startsWith(prefix) ? (TASK.exec(name.slice(prefix.length))?.[0] ?? '') : '';
}

/** The direct successors of each task: the controller attaches them to the last nodes of their predecessors. */
function linksOf(
  dag: WorkflowNode,
  nodes: readonly WorkflowNode[],
  tasks: ReadonlyMap<string, WorkflowNode>,
): readonly Link[] {
  const names = new Map([...tasks].map(([name, { id }]) => [id, name]));
  return nodes.flatMap((node) => {
    const task = taskOf(dag, node);
    const after = node.children.flatMap((child) => names.get(child) ?? []);
    return task === '' ? [] : after.filter((name) => name !== task).map((name): Link => [task, name]);
  });
}

/** The failures that `continueOn` forgives, as `task Phase`, if the status still has the template. */
function tolerantTasks(template: Json): ReadonlySet<string> {
  const body = fieldsOf(template['dag']);
  const tasks = listOf(body['tasks']).map(fieldsOf);
  const tolerant = tasks.flatMap((task) => {
    const { failed, error } = fieldsOf(task['continueOn']);
    const name = stringOf(task['name']);
    return [...(failed === true ? [`${name} Failed`] : []), ...(error === true ? [`${name} Error`] : [])];
  });
  return new Set(tolerant);
}
