import type { IWorkflow } from '@kubernetes-models/argo-workflows/argoproj.io/v1alpha1/Workflow';
import type { IWorkflowTemplate } from '@kubernetes-models/argo-workflows/argoproj.io/v1alpha1/WorkflowTemplate';
import type { WorkflowManifest } from '../../domain/workflow-manifest.ts';

/** A Workflow as the API gives it. Only `metadata.name` is checked: read the rest as if it might be absent. */
export type Workflow = IWorkflow;
export type WorkflowTemplate = IWorkflowTemplate;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** The whole exchange in milliseconds, waiting for a connection included; 10,000 by default. */
  readonly timeoutMs?: number | undefined;
}

export interface ListOptions extends CallOptions {
  readonly labelSelector?: string | undefined;
  /** Objects a page, 250 by default; halved on its own when a page would be too large to hold. */
  readonly limit?: number | undefined;
  /** Start in the middle: the `continue` of an earlier page. */
  readonly continue?: string | undefined;
  /** `'0'` lets the apiserver answer from its cache, and then it gives all in one page, whatever `limit` says. */
  readonly resourceVersion?: string | undefined;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan' | undefined;
}

export interface WorkflowPage {
  readonly workflows: readonly Workflow[];
  /** Where a watch may start so that nothing after this list is missed. */
  readonly resourceVersion: string;
  /** Token of the next page, empty on the last. */
  readonly continue: string;
}

export interface WatchOptions {
  readonly signal?: AbortSignal | undefined;
  readonly labelSelector?: string | undefined;
  /** From a list or an earlier event; unset starts with the present objects as ADDED. */
  readonly resourceVersion?: string | undefined;
  /** After this many seconds the server ends the watch in order; 300 by default. */
  readonly timeoutSeconds?: number | undefined;
  /** Silence, without even a bookmark, after which the connection counts as dead; 90,000 ms by default. */
  readonly idleTimeoutMs?: number | undefined;
}

export type WatchEvent =
  | {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly workflow: Workflow;
      readonly resourceVersion: string;
    }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface PodLogOptions extends CallOptions {
  readonly container: string;
  readonly tailLines: number;
}

/** The few calls that facteur makes to the cluster. Every failure is an `ArgoError`. */
export interface ArgoClient {
  createWorkflow(namespace: string, manifest: WorkflowManifest | Workflow, options?: CallOptions): Promise<Workflow>;
  getWorkflow(namespace: string, name: string, options?: CallOptions): Promise<Workflow>;
  /** Page by page; `argo.expired` when the continue token outlived the cluster's memory. `timeoutMs` is per page. */
  listWorkflows(namespace: string, options?: ListOptions): AsyncGenerator<WorkflowPage, void, undefined>;
  /** Ends quietly when the server ends the watch or the signal aborts; throws otherwise. */
  watchWorkflows(namespace: string, options?: WatchOptions): AsyncGenerator<WatchEvent, void, undefined>;
  /** A JSON merge patch, e.g. `{spec: {shutdown: 'Stop'}}`. */
  patchWorkflow(namespace: string, name: string, patch: object, options?: CallOptions): Promise<Workflow>;
  getWorkflowTemplate(namespace: string, name: string, options?: CallOptions): Promise<WorkflowTemplate>;
  /** The last lines of a pod's container, as it wrote them. Needs the verb `get` on `pods/log`, which not every facteur has. */
  podLog(namespace: string, pod: string, options: PodLogOptions): Promise<string>;
  /** The apiserver's version (`v1.31.0`); the cheapest way to learn whether it answers. */
  serverVersion(options?: CallOptions): Promise<string>;
  /** Ends every request and watch that is under way, and closes the connections. */
  close(): Promise<void>;
}
