import { isRecord } from '../../base/json.ts';
import { readNodes, stringOf, type WorkflowNode } from './workflow-nodes.ts';

type Json = Readonly<Record<string, unknown>>;

/** Nodes that do something themselves; the others only hold them together. */
const LEAVES: ReadonlySet<string> = new Set(['Pod', 'Container', 'HTTP', 'Plugin', 'Suspend']);

/** The step that a workflow is at: the running one that began last; undefined if none runs. */
export function currentStep(status: Json): WorkflowNode | undefined {
  return leaves(status).findLast(({ phase }) => phase === 'Running');
}

/** A step that waits for a mutex or a semaphore, and the name of its lock; undefined if none does. */
export function lockedStep(status: Json): { readonly displayName: string; readonly lock: string } | undefined {
  return [...readNodes(status).values()]
    .filter(({ phase }) => phase === 'Pending')
    .map(({ displayName, raw }) => ({ displayName, lock: lockOf(raw['synchronizationStatus']) }))
    .find(({ lock }) => lock !== '');
}

function lockOf(synchronization: unknown): string {
  return isRecord(synchronization) ? stringOf(synchronization['waiting']) : '';
}

/** The step that began last, in whatever phase; undefined if none has begun. */
export function lastStep(status: Json): WorkflowNode | undefined {
  return leaves(status).at(-1);
}

/** The step with this name or id, the newest if several have the name. */
export function stepNamed(status: Json, wanted: string): WorkflowNode | undefined {
  return leaves(status).findLast(({ displayName, name, id }) => [displayName, name, id].includes(wanted));
}

/** In the order in which they began. */
function leaves(status: Json): readonly WorkflowNode[] {
  return [...readNodes(status).values()]
    .filter(({ type }) => LEAVES.has(type))
    .toSorted((one, other) => beganAt(one).localeCompare(beganAt(other)));
}

function beganAt({ raw }: WorkflowNode): string {
  return stringOf(raw['startedAt']);
}
