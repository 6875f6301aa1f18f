import { isRecord } from '../../src/base/json.ts';
import { ApiFailure, USERS, type Asker } from './api-failure.ts';
import type { JsonObject } from './objects.ts';
import type { Store } from './store.ts';
import { nodeId } from './workflow-status.ts';

/** The log that a path refers to. */
export interface LogTarget {
  readonly namespace: string;
  readonly pod: string;
}

const LOG_PATH = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/log$/;

/** Undefined if the path is not a pod's log. */
export function parseLogTarget(path: string): LogTarget | undefined {
  const [, namespace, pod] = LOG_PATH.exec(path) ?? [];
  return namespace === undefined || pod === undefined
    ? undefined
    : { namespace: decodeURIComponent(namespace), pod: decodeURIComponent(pod) };
}

/** RBAC's text for a pod's log. */
export function forbiddenLog({ namespace, pod }: LogTarget, asker: Asker): ApiFailure {
  const what = `cannot get resource "pods/log" in API group "" in the namespace "${namespace}"`;
  const message = `pods "${pod}" is forbidden: ${USERS[asker]} ${what}`;
  return new ApiFailure(403, 'Forbidden', message, { name: pod, kind: 'pods' });
}

/**
 * The last `tailLines` lines that the pod's container has written so far.
 *
 * @throws ApiFailure 404 for a pod that no step of a workflow runs in
 */
export function podLog(store: Store, { namespace, pod }: LogTarget, query: URLSearchParams): string {
  for (const { object } of store.all('workflows')) {
    if (object.metadata.namespace === namespace) {
      const node = nodesOf(object.status).find((candidate) => podName(object.metadata.name, candidate) === pod);
      if (node !== undefined) {
        return lastLines(linesOf(node), Number(query.get('tailLines') ?? Number.POSITIVE_INFINITY));
      }
    }
  }
  throw new ApiFailure(404, 'NotFound', `pods "${pod}" not found`, { name: pod, kind: 'pods' });
}

/** The controller's name for a pod: workflow, template, and a hash of the node's name; for the root, the workflow's name. */
function podName(workflow: string, node: JsonObject): string | undefined {
  if (node['type'] !== 'Pod') {
    return undefined;
  }
  const name = String(node['name']);
  const hash = nodeId(workflow, name).slice(workflow.length);
  return name === workflow ? workflow : `${workflow}-${String(node['templateName'])}${hash}`;
}

function nodesOf(status: unknown): readonly JsonObject[] {
  return isRecord(status) && isRecord(status['nodes']) ? Object.values(status['nodes']).filter(isRecord) : [];
}

function linesOf(node: JsonObject): readonly string[] {
  const name = String(node['displayName']);
  const end = typeof node['message'] === 'string' ? [`${name}: ${node['message']}`] : [];
  const over = node['phase'] === 'Succeeded' ? [`${name}: done`] : end;
  return [`${name}: begins`, `${name}: reads its parameters`, `${name}: works`, ...over];
}

function lastLines(lines: readonly string[], count: number): string {
  return lines
    .slice(-Math.max(0, count))
    .map((line) => `${line}\n`)
    .join('');
}
