/** Prepares a new cluster so that workflows can run in it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { eventually, type ApiObject, type ClusterApi } from './api.ts';

/** The namespace of facteur's workflows, and that of the configuration of Argo's controller. */
const NAMESPACES = ['argo', 'argo-workflows'];

/** How long an API server may take to learn its custom resources, in milliseconds. */
const PATIENCE_MS = 240_000;

export interface Definitions {
  /** A folder with `full` and `minimal`. */
  readonly definitions: string;
  /** Resources with their full schema; the others accept anything. */
  readonly full: readonly string[];
}

/** Creates Argo's custom resources, the namespaces and the controller's configuration. */
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

/** The fields of a custom resource definition that are read. */
interface Definition {
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** Creates a namespace with the service account that a controller manager would create. */
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
