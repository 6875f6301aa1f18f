import type { IWorkflow } from '@kubernetes-models/argo-workflows/argoproj.io/v1alpha1/Workflow';
import type { IWorkflowTemplate } from '@kubernetes-models/argo-workflows/argoproj.io/v1alpha1/WorkflowTemplate';
import type { WorkflowManifest } from '../../domain/workflow-manifest.ts';

/** A Workflow as the API gives it. Only `metadata.name` is checked: read the rest as if it might be absent. */
export type Workflow = IWorkflow;
export type WorkflowTemplate = IWorkflowTemplate;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Limit for the whole exchange in milliseconds, including the wait for a connection; 10,000 by default. */
  readonly timeoutMs?: number | undefined;
}

export interface ListOptions extends CallOptions {
  readonly labelSelector?: string | undefined;
  /** Objects per page, 250 by default; halved automatically when a page would be too large. */
  readonly limit?: number | undefined;
  /** The `continue` of an earlier page, to start after it. */
  readonly continue?: string | undefined;
  /** `'0'` lets the API server answer from its cache, in one page regardless of `limit`. */
  readonly resourceVersion?: string | undefined;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan' | undefined;
}

export interface WorkflowPage {
  readonly workflows: readonly Workflow[];
  /** The version from which a watch misses nothing after this list. */
  readonly resourceVersion: string;
  /** Token of the next page, empty on the last. */
  readonly continue: string;
}

export interface TemplatePage extends Omit<WorkflowPage, 'workflows'> {
  readonly templates: readonly WorkflowTemplate[];
}

export interface WatchOptions {
  readonly signal?: AbortSignal | undefined;
  readonly labelSelector?: string | undefined;
  /** From a list or an earlier event; if unset, the watch starts with the existing objects as ADDED. */
  readonly resourceVersion?: string | undefined;
  /** The server ends the watch normally after this many seconds; 300 by default. */
  readonly timeoutSeconds?: number | undefined;
  /** Silence, without even a bookmark, after which the connection counts as dead; 90,000 ms by default. */
  readonly idleTimeoutMs?: number | undefined;
}

/** One event of a watch. */
export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T; readonly resourceVersion: string }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

interface PodLogOptions extends CallOptions {
  readonly container: string;
  readonly tailLines: number;
}

/** An operation of a JSON Patch (RFC 6902). */
export interface PatchOperation {
  readonly op: 'test' | 'add' | 'replace';
  readonly path: string;
  readonly value: unknown;
}

/** The few calls that facteur makes to the cluster. Every failure is an `ArgoError`. */
export interface ArgoClient {
  createWorkflow(
    namespace: string,
    manifest: WorkflowManifest | Workflow,
    options?: CallOptions,
  ): Promise<Pick<Workflow, 'metadata'>>;
  getWorkflow(namespace: string, name: string, options?: CallOptions): Promise<Workflow>;
  /** Page by page; `argo.expired` when the cluster no longer accepts the continue token. `timeoutMs` is per page. */
  listWorkflows(namespace: string, options?: ListOptions): AsyncGenerator<WorkflowPage, void, undefined>;
  /** Ends quietly when the server ends the watch or the signal aborts; throws otherwise. */
  watchWorkflows(namespace: string, options?: WatchOptions): AsyncGenerator<WatchEvent<Workflow>, void, undefined>;
  /** A JSON merge patch, e.g. `{spec: {shutdown: 'Stop', suspend: null}}`. */
  patchWorkflow(namespace: string, name: string, patch: object, options?: CallOptions): Promise<Workflow>;
  /** As {@link listWorkflows}. */
  listWorkflowTemplates(namespace: string, options?: ListOptions): AsyncGenerator<TemplatePage, void, undefined>;
  /** As {@link watchWorkflows}. */
  watchWorkflowTemplates(
    namespace: string,
    options?: WatchOptions,
  ): AsyncGenerator<WatchEvent<WorkflowTemplate>, void, undefined>;
  /** A JSON Patch; `argo.invalid` if one of its tests fails or a path is missing. */
  patchWorkflowIf(
    namespace: string,
    name: string,
    operations: readonly PatchOperation[],
    options?: CallOptions,
  ): Promise<Workflow>;
  getWorkflowTemplate(namespace: string, name: string, options?: CallOptions): Promise<WorkflowTemplate>;
  /** The last lines of a container's log, unchanged. Needs the verb `get` on `pods/log`, which not every installation grants. */
  podLog(namespace: string, pod: string, options: PodLogOptions): Promise<string>;
  /** Whether the API server reports that it is ready; false if it does not answer. Never rejects. */
  isReady(options?: CallOptions): Promise<boolean>;
  /** The key set with which the cluster signs the tokens of service accounts, as JSON. Every service account may read it. */
  tokenKeys(options?: CallOptions): Promise<unknown>;
  /** The apiserver's version (`v1.31.0`); the cheapest way to learn whether it answers. */
  serverVersion(options?: CallOptions): Promise<string>;
  /** Ends all requests and watches, and closes the connections. */
  close(): Promise<void>;
}
