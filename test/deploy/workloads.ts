import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { titleOf, type Manifest } from './manifests.ts';

/** A manifest that makes pods, with the pods' specification. */
export interface Workload {
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: IPodSpec;
}

/** Where each kind keeps its pods' template; a kind that makes pods and is not here fails the tests' count of images. */
const POD_TEMPLATES: Readonly<
  Record<string, (manifest: Manifest) => { metadata?: { labels?: object }; spec: IPodSpec }>
> = {
  Deployment: (manifest) => manifest['spec'].template,
  CronJob: (manifest) => manifest['spec'].jobTemplate.spec.template,
  Service: (manifest) => manifest['spec'].template,
  WorkflowTemplate: (manifest) => ({ spec: podOfWorkflow(manifest['spec']) }),
};

/** Everything among the manifests that makes pods of a specification of ours; operators' resources make their own. */
export function workloadsOf(manifests: readonly Manifest[]): readonly Workload[] {
  return manifests.flatMap((manifest) => {
    const template = manifest.apiVersion === 'v1' ? undefined : POD_TEMPLATES[manifest.kind]?.(manifest);
    return template === undefined
      ? []
      : [
          {
            title: titleOf(manifest),
            labels: { ...template.metadata?.labels },
            spec: template.spec,
          },
        ];
  });
}

interface WorkflowSpec extends Omit<IPodSpec, 'containers'> {
  readonly templates: readonly { readonly container?: IPodSpec['containers'][number] }[];
}

/** A workflow's pods have the specification's own context, and one container a template. */
function podOfWorkflow(spec: WorkflowSpec): IPodSpec {
  const containers = spec.templates.flatMap(({ container }) =>
    container === undefined ? [] : [{ ...container, name: 'main' }],
  );
  const { securityContext } = spec;
  return { containers, ...(securityContext === undefined ? {} : { securityContext }) };
}

/** Those of the workloads that run facteur itself. */
export function facteursOf(manifests: readonly Manifest[]): readonly Workload[] {
  return workloadsOf(manifests).filter(({ labels }) => labels['app.kubernetes.io/name'] === 'facteur');
}

/** The one that serves, on Knative or without. */
export function serverOf(manifests: readonly Manifest[]): Workload {
  const server = facteursOf(manifests).find(({ labels }) => labels['app.kubernetes.io/component'] === 'server');
  if (server === undefined) {
    throw new Error('nothing serves');
  }
  return server;
}

/** How long a pod has from SIGTERM on, in seconds. Knative gives it as long as a request may take. */
export function secondsToEnd(spec: IPodSpec): number {
  const grace = spec.terminationGracePeriodSeconds ?? (spec as { timeoutSeconds?: number }).timeoutSeconds ?? 0;
  return grace - (spec.containers[0]?.lifecycle?.preStop?.sleep?.seconds ?? 0);
}

/** Name -> value, or the Secret's name and key, of the first container's variables. */
export function environmentOf(spec: IPodSpec): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    (spec.containers[0]?.env ?? []).map(({ name, value, valueFrom }) => {
      const { optional: _, ...key } = valueFrom?.secretKeyRef ?? { key: '' };
      return [name, value ?? key];
    }),
  );
}
