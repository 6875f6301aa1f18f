import { ANNOTATIONS, LABELS, MANAGED_BY, type WorkflowPlan } from './workflow-plan.ts';
import { deliveryLabel } from './workflow-name.ts';

/** Argo and etcd take no larger object: https://argo-workflows.readthedocs.io/en/latest/offloading-large-workflows/ */
export const MAX_WORKFLOW_BYTES = 1024 * 1024;

/** The parts of a Workflow that facteur writes. */
export interface WorkflowManifest {
  readonly apiVersion: 'argoproj.io/v1alpha1';
  readonly kind: 'Workflow';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly workflowTemplateRef: { readonly name: string };
    readonly serviceAccountName?: string;
    readonly arguments: { readonly parameters: { readonly name: string; readonly value: string }[] };
  };
}

/** What tells one run's workflow from another's. */
export interface RunIdentity {
  readonly runId: string;
  readonly deliveryId: string;
  readonly workflowName: string;
  readonly traceparent: string;
}

/** The Workflow of a run; the same run always gives the same object. */
export function workflowManifest(plan: WorkflowPlan, run: RunIdentity): WorkflowManifest {
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Workflow',
    metadata: {
      name: run.workflowName,
      namespace: plan.namespace,
      labels: {
        ...plan.labels,
        [LABELS.managedBy]: MANAGED_BY,
        [LABELS.delivery]: deliveryLabel(run.deliveryId),
      },
      annotations: {
        ...plan.annotations,
        [ANNOTATIONS.deliveryId]: run.deliveryId,
        [ANNOTATIONS.runId]: run.runId,
        ...(run.traceparent === '' ? {} : { [ANNOTATIONS.traceparent]: run.traceparent }),
      },
    },
    spec: {
      workflowTemplateRef: { name: plan.workflowTemplate },
      ...(plan.serviceAccount === '' ? {} : { serviceAccountName: plan.serviceAccount }),
      arguments: {
        parameters: Object.keys(plan.parameters)
          .toSorted()
          .map((name) => ({ name, value: plan.parameters[name] ?? '' })),
      },
    },
  };
}
