/** What a cluster of ours needs before anything can run in it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { eventually, type ApiObject, type ClusterApi } from './api.ts';

/** Where facteur's workflows run, and where Argo's controller looks for its configuration. */
const NAMESPACES = ['argo', 'argo-workflows'];

/** How long an API server may take to learn its custom resources, in milliseconds. */
const PATIENCE_MS = 240_000;

export interface Definitions {
  /** A folder with `full` and `minimal`. */
  readonly definitions: string;
  /** Resources whose schema is checked; the others take anything. */
  readonly full: readonly string[];
}

/** Brings Argo's custom resources, the namespaces and the controller's configuration. */
export async function setUpCluster(api: ClusterApi, { definitions, full }: Definitions): Promise<void> {
  const crds = readdirSync(join(definitions, 'minimal')).map((file) => {
    const size = full.some((resource) => file === `argoproj.io_${resource}.yaml`) ? 'full' : 'minimal';
    return parse(readFileSync(join(definitions, size, file), 'utf8')) as ApiObject;
  });
  await Promise.all(crds.map((crd) => api.apply(crd)));
  await Promise.all(NAMESPACES.map((name) => ensureNamespace(api, name)));
  await api.apply({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'workflow-controller-configmap', namespace: 'argo' },
    data: { metricsConfig: '{enabled: false}', telemetryConfig: '{enabled: false}' },
  });
  await Promise.all(crds.map((crd) => eventually(() => assertEstablished(api, crd), PATIENCE_MS)));
}

/** What is read of a custom resource definition. */
interface Definition {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** A namespace with the service account that a controller manager would make. */
export async function ensureNamespace(
  api: ClusterApi,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  await api.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
  await api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } });
}

async function assertEstablished(api: ClusterApi, crd: ApiObject): Promise<void> {
  const { status } = await api.call<Definition>(await api.pathOf(crd));
  if (status.conditions?.some((one) => one.type === 'Established' && one.status === 'True') !== true) {
    throw new Error(`${crd.metadata.name} is not established`);
  }
}
