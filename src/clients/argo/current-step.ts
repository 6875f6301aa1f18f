import { isRecord } from '../../base/json.ts';
import { stringOf, type WorkflowNode } from './workflow-nodes.ts';

type Nodes = ReadonlyMap<string, WorkflowNode>;

/** Types of nodes that do work themselves; the others only group them. */
const LEAVES: ReadonlySet<string> = new Set(['Pod', 'Container', 'HTTP', 'Plugin', 'Suspend']);

/** The current step of a workflow: the running one that began last; undefined if none runs. */
export function currentStep(nodes: Nodes): WorkflowNode | undefined {
  return leaves(nodes).findLast(({ phase }) => phase === 'Running');
}

/** A step that waits for a mutex or a semaphore, and the name of its lock; undefined if none does. */
export function lockedStep(nodes: Nodes): { readonly displayName: string; readonly lock: string } | undefined {
  return [...nodes.values()]
    .filter(({ phase }) => phase === 'Pending')
    .map(({ displayName, raw }) => ({ displayName, lock: lockOf(raw['synchronizationStatus']) }))
    .find(({ lock }) => lock !== '');
}

function lockOf(synchronization: unknown): string {
  return isRecord(synchronization) ? stringOf(synchronization['waiting']) : '';
}

/**
 * A step whose pod cannot start and has a message: no node has room for it, its image cannot be pulled, a quota is exhausted.
 * Messages of one word do not count: every pod has `ContainerCreating` for a moment.
 */
export function stuckStep(nodes: Nodes): WorkflowNode | undefined {
  return leaves(nodes).find(({ phase, message }) => phase === 'Pending' && message.includes(' '));
}

/** The step that began last, in whatever phase; undefined if none has begun. */
export function lastStep(nodes: Nodes): WorkflowNode | undefined {
  return leaves(nodes).at(-1);
}

/** The step with this name or id, the newest if several have the name. */
export function stepNamed(nodes: Nodes, wanted: string): WorkflowNode | undefined {
  return leaves(nodes).findLast(({ displayName, name, id }) => [displayName, name, id].includes(wanted));
}

/** The nodes that do work, in the order in which they began. */
function leaves(nodes: Nodes): readonly WorkflowNode[] {
  return [...nodes.values()]
    .filter(({ type }) => LEAVES.has(type))
    .toSorted((one, other) => beganAt(one).localeCompare(beganAt(other)));
}

function beganAt({ raw }: WorkflowNode): string {
  return stringOf(raw['startedAt']);
}
