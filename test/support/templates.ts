import { expect } from 'vitest';
import type { SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { NAMESPACE, type Json } from './cluster.ts';
import { ROLE } from './discord-door.ts';

const HARMLESS = { name: 'main', container: { image: 'alpine', command: ['true'] } };
const MERGE = 'application/merge-patch+json';

/** Annotations with facteur's prefix. By default one role may run it. Null removes an annotation. */
export type TemplateAnnotations = Readonly<Record<string, string | null>>;

export interface TemplateParts {
  readonly annotations?: TemplateAnnotations;
  readonly parameters?: readonly object[];
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly namespace?: string;
}

/** Applies a template that defines a command, like `kubectl apply`. */
export async function applyTemplate(
  cluster: Pick<SimulatedCluster, 'url'>,
  name: string,
  parts: TemplateParts = {},
): Promise<Json> {
  const { annotations = {}, parameters = [], spec = {}, namespace = NAMESPACE } = parts;
  const own: TemplateAnnotations = { command: name, roles: ROLE, ...annotations };
  const body = {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'WorkflowTemplate',
    metadata: {
      ...{ name, namespace },
      annotations: Object.fromEntries(
        Object.entries(own).map(([key, value]) => [`facteur.proompteng.ai/${key}`, value]),
      ),
    },
    spec: { entrypoint: 'main', templates: [HARMLESS], ...spec, arguments: { parameters } },
  };
  const collection = `${cluster.url}/apis/argoproj.io/v1alpha1/namespaces/${namespace}/workflowtemplates`;
  const patched = await send('PATCH', `${collection}/${name}`, body, MERGE);
  const answer = patched.status === 404 ? await send('POST', collection, body, 'application/json') : patched;
  expect(answer.status).toBeLessThan(300);
  return answer.json();
}

export async function deleteTemplate(cluster: Pick<SimulatedCluster, 'url'>, name: string): Promise<void> {
  const path = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/workflowtemplates/${name}`;
  expect((await fetch(`${cluster.url}${path}`, { method: 'DELETE' })).status).toBe(200);
}

function send(method: string, url: string, body: object, contentType: string): Promise<Response> {
  // A new object has no annotations to remove.
  const json = JSON.stringify(body, (_key, value: unknown) =>
    method === 'POST' && value === null ? undefined : value,
  );
  return fetch(url, { method, body: json, headers: { 'content-type': contentType } });
}
