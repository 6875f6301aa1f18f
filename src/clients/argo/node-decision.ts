import { fieldsOf, isRecord } from '../../base/json.ts';
import { ELAPSED, PERHAPS_ELAPSED } from '../../domain/approval.ts';
import { argoDurationMs } from '../../domain/argo-duration.ts';
import { packNodes, stringOf, unpackNodes, type WorkflowNode } from './workflow-nodes.ts';
import type { PatchOperation, Workflow } from './workflows.ts';

type Json = Readonly<Record<string, unknown>>;

/** A waiting suspend node, as last read. */
export interface WaitingAt {
  readonly workflowUid: string;
  readonly nodeId: string;
  /** As the controller wrote it. */
  readonly startedAt: string;
}

/** How a suspend node ends. */
export interface NodeEnd {
  readonly phase: 'Succeeded' | 'Failed';
  readonly message: string;
  readonly finishedAt: Date;
  /** All supplied outputs: if one is missing, the controller waits forever. Empty if the node supplies none. */
  readonly outputs: Readonly<Record<string, string>>;
}

/**
 * The patch that ends a node, unless another workflow has the name or the node no longer waits. It needs plain nodes: on packed
 * ones the paths are missing and nothing happens. A merge patch would look like a complete set of nodes.
 */
export function endNode(at: WaitingAt, end: NodeEnd): PatchOperation[] {
  const path = `/status/nodes/${escapeKey(at.nodeId)}`;
  const test = (field: string, value: string): PatchOperation => ({ op: 'test', path: field, value });
  return [
    test('/metadata/uid', at.workflowUid),
    test(`${path}/type`, 'Suspend'),
    test(`${path}/phase`, 'Running'),
    test(`${path}/startedAt`, at.startedAt),
    ...Object.entries(changesOf(end)).map(([key, value]) =>
      key === 'outputs'
        ? ({ op: 'add', path: `${path}/outputs/parameters`, value: parametersOf(end) } as const)
        : ({ op: 'add', path: `${path}/${key}`, value } as const),
    ),
  ];
}

/**
 * The merge patch that ends a node among packed ones. The resource version makes the cluster refuse it if anything
 * changed meanwhile. Undefined if the nodes are not packed, or the node is not among them.
 */
export function endPackedNode({ metadata, status }: Workflow, at: WaitingAt, end: NodeEnd): object | undefined {
  const packed = isRecord(status) ? stringOf(status['compressedNodes']) : '';
  const nodes = packed === '' ? undefined : unpackNodes(packed);
  const node = nodes?.[at.nodeId];
  if (nodes === undefined || !isRecord(node)) {
    return undefined;
  }
  const changed = { ...nodes, [at.nodeId]: { ...node, ...changesOf(end) } };
  return {
    metadata: { uid: at.workflowUid, resourceVersion: metadata.resourceVersion },
    status: { compressedNodes: packNodes(changed, packed) },
  };
}

function changesOf(end: NodeEnd): Json {
  return {
    phase: end.phase,
    message: end.message,
    // In whole seconds, the format of Go.
    finishedAt: `${end.finishedAt.toISOString().slice(0, 19)}Z`,
    ...(Object.keys(end.outputs).length === 0 ? {} : { outputs: { parameters: parametersOf(end) } }),
  };
}

function parametersOf({ outputs }: NodeEnd): readonly object[] {
  return Object.entries(outputs).map(([name, value]) => ({ name, value }));
}

/**
 * Why a suspend node with a duration was resumed; empty if a person resumed it. The node does not record this, but Argo always
 * resumes it before a person could after its full duration.
 */
export function whyLapsed({ phase, finishedAt, raw }: WorkflowNode, template: Json): string {
  const duration = stringOf(fieldsOf(template['suspend'])['duration']);
  if (phase !== 'Succeeded' || duration === '') {
    return '';
  }
  const ms = argoDurationMs(duration);
  if (ms === undefined) {
    return PERHAPS_ELAPSED;
  }
  return Date.parse(finishedAt) - Date.parse(stringOf(raw['startedAt'])) >= ms ? ELAPSED : '';
}

/** Escapes a key for a JSON pointer. */
function escapeKey(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
