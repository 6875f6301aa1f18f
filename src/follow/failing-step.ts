import { gunzipSync } from 'node:zlib';
import { isRecord } from '../base/json.ts';

/** Unpacking happens on the event loop; larger ones are left alone, and the workflow's own message has to do. */
const MAX_UNPACKED_BYTES = 4 * 1024 * 1024;

type Json = Readonly<Record<string, unknown>>;

/** Only these node types do work themselves; the others report `child '…' failed`. */
const LEAVES: ReadonlySet<unknown> = new Set(['Pod', 'Container', 'HTTP', 'Plugin', 'Suspend']);
/** Those of these that succeeded have put up with the failure of what is in them. */
const FORGIVING: ReadonlySet<unknown> = new Set(['Retry', 'StepGroup']);

/** `step: message` of the step that made a workflow fail; empty when the nodes are offloaded, too large, or say nothing. */
export function failingStepMessage(status: Json): string {
  const failing = failingNode(status);
  return failing === undefined ? '' : `${text(failing['displayName']) || 'a step'}: ${text(failing['message'])}`;
}

/** The node of the step that made a workflow fail: of all that failed and were not made up for, the one that ended last. */
export function failingNode(status: Json): Json | undefined {
  const nodes = Object.values(readNodes(status)).filter(isRecord);
  const forgiven = new Set(
    nodes
      .filter((node) => FORGIVING.has(node['type']) && node['phase'] === 'Succeeded')
      .flatMap((node) => (Array.isArray(node['children']) ? (node['children'] as unknown[]) : [])),
  );
  return nodes
    .filter((node) => LEAVES.has(node['type']) && hasFailed(node) && !forgiven.has(node['id']))
    .toSorted((a, b) => text(a['finishedAt']).localeCompare(text(b['finishedAt'])))
    .at(-1);
}

function hasFailed(node: Json): boolean {
  return (node['phase'] === 'Failed' || node['phase'] === 'Error') && text(node['message']) !== '';
}

/** Argo gzips the nodes of larger workflows, and moves those of the largest into a database of its own. */
function readNodes(status: Json): Json {
  if (isRecord(status['nodes']) && Object.keys(status['nodes']).length > 0) {
    return status['nodes'];
  }
  try {
    const packed = Buffer.from(text(status['compressedNodes']), 'base64');
    const nodes: unknown = JSON.parse(gunzipSync(packed, { maxOutputLength: MAX_UNPACKED_BYTES }).toString('utf8'));
    return isRecord(nodes) ? nodes : {};
  } catch {
    // Absent, broken or too large: the message of a step is a courtesy.
    return {};
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
