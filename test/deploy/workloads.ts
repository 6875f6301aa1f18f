import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { titleOf, type Manifest } from './manifests.ts';

/** A manifest that creates pods, with their spec. */
export interface Workload {
  readonly title: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: IPodSpec;
}

/** The location of the pod template in each kind. A missing kind that creates pods fails the tests' count of images. */
const POD_TEMPLATES: Readonly<
  Record<string, (manifest: Manifest) => { metadata?: { labels?: object }; spec: IPodSpec }>
> = {
  Deployment: (manifest) => manifest['spec'].template,
  CronJob: (manifest) => manifest['spec'].jobTemplate.spec.template,
  Service: (manifest) => manifest['spec'].template,
  WorkflowTemplate: (manifest) => ({ spec: podOfWorkflow(manifest['spec']) }),
};

/** All manifests that create pods from our own spec. Pods of operators' resources are not included. */
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

/** A workflow's pods have the security context of its spec, and one container per template. */
function podOfWorkflow(spec: WorkflowSpec): IPodSpec {
  const containers = spec.templates.flatMap(({ container }) =>
    container === undefined ? [] : [{ ...container, name: 'main' }],
  );
  const { securityContext } = spec;
  return { containers, ...(securityContext === undefined ? {} : { securityContext }) };
}

/** The workloads that run facteur itself. */
export function facteursOf(manifests: readonly Manifest[]): readonly Workload[] {
  return workloadsOf(manifests).filter(({ labels }) => labels['app.kubernetes.io/name'] === 'facteur');
}

/** The server, with or without Knative. */
export function serverOf(manifests: readonly Manifest[]): Workload {
  const server = facteursOf(manifests).find(({ labels }) => labels['app.kubernetes.io/component'] === 'server');
  if (server === undefined) {
    throw new Error('nothing serves');
  }
  return server;
}

/** The time that a pod has after SIGTERM, in seconds. Knative uses the timeout of requests. */
export function secondsToEnd(spec: IPodSpec): number {
  const grace = spec.terminationGracePeriodSeconds ?? (spec as { timeoutSeconds?: number }).timeoutSeconds ?? 0;
  return grace - (spec.containers[0]?.lifecycle?.preStop?.sleep?.seconds ?? 0);
}

/** The variables of the first container: name -> value, or the name and key of its Secret. */
export function environmentOf(spec: IPodSpec): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    (spec.containers[0]?.env ?? []).map(({ name, value, valueFrom }) => {
      const { optional: _, ...key } = valueFrom?.secretKeyRef ?? { key: '' };
      return [name, value ?? key];
    }),
  );
}
