import { argoText } from './argo-text.ts';
import { ANNOTATIONS, LABELS, MANAGED_BY, type WorkflowPlan } from './workflow-plan.ts';
import { deliveryLabel } from './workflow-name.ts';

/**
 * The largest manifest that is accepted. Argo gives up on a workflow of more than 1 MiB, and it stores the arguments a
 * second time, in `status.storedWorkflowTemplateSpec`, next to the template and the first nodes.
 */
export const MAX_MANIFEST_BYTES = 450 * 1024;

/** Go's JSON encoder writes these in six bytes, as `\u003c`. */
const ESCAPED_BY_GO = /[<>&\u2028\u2029]/g;

/** The size of this JSON text once the cluster has stored it, in bytes. */
export function storedBytes(json: string): number {
  let bytes = Buffer.byteLength(json);
  for (const [character] of json.matchAll(ESCAPED_BY_GO)) {
    bytes += 6 - Buffer.byteLength(character);
  }
  return bytes;
}

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
    readonly arguments: { readonly parameters: readonly Argument[] };
  };
}

interface Argument {
  readonly name: string;
  readonly value: string;
  readonly enum?: readonly string[];
}

/** Distinguishes the workflows of different runs. */
interface RunIdentity {
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
        [ANNOTATIONS.deliveryId]: argoText(run.deliveryId),
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
          .map((name) => argumentOf(name, plan)),
      },
    },
  };
}

function argumentOf(name: string, { parameters, enums = {} }: Pick<WorkflowPlan, 'parameters' | 'enums'>): Argument {
  const value = parameters[name] ?? '';
  const values = Object.hasOwn(enums, name) ? enums[name] : undefined;
  return values === undefined ? { name, value } : { name, value, enum: values };
}
