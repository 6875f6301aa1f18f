import { failingTask } from './failing-task.ts';
import { firstFailure, hasFailed, readNodes, type WorkflowNode } from './workflow-nodes.ts';

type Json = Readonly<Record<string, unknown>>;
type Nodes = ReadonlyMap<string, WorkflowNode>;

/** The step that made a workflow fail. */
interface FailingStep {
  readonly node: WorkflowNode;
  /** The message of the step, or else of the nearest enclosing node with one; may be empty. */
  readonly message: string;
}

/** `step: message` of the step that made a workflow fail; empty when the nodes do not say which. */
export function failingStepMessage(status: Json): string {
  const step = failingStep(status);
  if (step === undefined) {
    return '';
  }
  const { node, message } = step;
  return `${node.displayName || 'a step'}: ${message || ownWords(status['message']) || 'failed without a message'}`;
}

/**
 * Follows the controller's own decisions from the root down, because the nodes alone are ambiguous: steps with
 * `continueOn`, and hooks, may have failed too, and later. The exit handler counts only if the work succeeded.
 */
export function failingStep(status: Json): FailingStep | undefined {
  const nodes = readNodes(status);
  const all = [...nodes.values()];
  const root = rootOf(all);
  let top = root ?? lastLeaf(all);
  if (root?.phase === 'Succeeded') {
    top = all.find(({ name }) => name === `${root.name}.onExit`);
  }
  return top === undefined || !hasFailed(top) ? undefined : descend(top, nodes, status);
}

/** Whether the workflow's root node has failed; false if the nodes cannot be read. */
export function hasFailedRoot(status: Json): boolean {
  const root = rootOf([...readNodes(status).values()]);
  return root !== undefined && hasFailed(root);
}

/** The root's id is the workflow's name; other ids end in a hash. */
function rootOf(nodes: readonly WorkflowNode[]): WorkflowNode | undefined {
  return nodes.find(({ id, name }) => id !== '' && id === name);
}

const BLAME = /^child '([^']+)' failed$/;
/** The message about a step that Argo could not start, because its pod was refused, for example. */
const UNSTARTED = /^step group deemed errored due to child (.{1,1000}?) error: /;

/** The message, unless it only says that a child failed; else empty. */
export function ownWords(message: unknown): string {
  return typeof message === 'string' && !BLAME.test(message) ? message : '';
}

function descend(top: WorkflowNode, nodes: Nodes, status: Json): FailingStep {
  const seen = new Set<WorkflowNode>();
  let node = top;
  let message = '';
  for (
    let next: WorkflowNode | undefined = top;
    next !== undefined && !seen.has(next);
    next = blamed(node, nodes, status)
  ) {
    node = next;
    seen.add(node);
    message = ownWords(node.message) || message;
  }
  return { node, message };
}

/** The inner node that made this one fail; undefined if it failed on its own. */
function blamed(node: WorkflowNode, nodes: Nodes, status: Json): WorkflowNode | undefined {
  const named = namedIn(node.message, nodes);
  if (named !== undefined && hasFailed(named)) {
    return named;
  }
  const all = [...nodes.values()];
  switch (node.type) {
    case 'DAG':
      return failingTask(node, nodes, status);
    case 'Steps':
      // For a step that exceeded its `timeout`, the inner messages only repeat the outer one.
      return firstFailure(stepsIn(node, all).filter(({ message }) => message !== '' && message === node.message));
    case 'TaskGroup':
      return firstFailure(partsOf(node, nodes));
    case 'Retry':
      return firstFailure(partsOf(node, nodes).slice(-1));
    case 'Pod':
      return firstFailure(all.filter(({ type, boundaryId }) => type === 'Container' && boundaryId === node.id));
    default:
      return undefined;
  }
}

function namedIn(message: string, nodes: Nodes): WorkflowNode | undefined {
  const unstarted = UNSTARTED.exec(message)?.[1];
  return unstarted === undefined
    ? nodes.get(BLAME.exec(message)?.[1] ?? '')
    : [...nodes.values()].find(({ name }) => name === unstarted);
}

function stepsIn({ id }: WorkflowNode, all: readonly WorkflowNode[]): readonly WorkflowNode[] {
  return all.filter(({ type, boundaryId, hooked }) => boundaryId === id && type !== 'StepGroup' && !hooked);
}

/** The attempts of a retry, or the nodes that a loop expanded to: `name(0)`, `name(1:item)`. */
function partsOf({ name, children }: WorkflowNode, nodes: Nodes): WorkflowNode[] {
  return children
    .flatMap((id) => nodes.get(id) ?? [])
    .filter((child) => !child.hooked && child.name.startsWith(`${name}(`));
}

const LEAVES: ReadonlySet<string> = new Set(['Pod', 'Container', 'HTTP', 'Plugin', 'Suspend']);

/** The fallback without a root node, which Argo always writes: the last failed leaf. */
function lastLeaf(nodes: readonly WorkflowNode[]): WorkflowNode | undefined {
  return nodes
    .filter((node) => LEAVES.has(node.type) && !node.hooked && hasFailed(node))
    .toSorted((a, b) => a.finishedAt.localeCompare(b.finishedAt))
    .at(-1);
}
