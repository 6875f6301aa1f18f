import { parseAllDocuments } from 'yaml';

/** A workload that runs facteur, whose rollout is awaited. */
export interface Rollout {
  readonly kind: 'Deployment' | 'KnativeService';
  readonly name: string;
  readonly namespace: string;
}

interface Manifest {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly namespace?: string; readonly labels?: Record<string, string> };
}

/** The long-running workloads of a rendered overlay that run facteur. */
export function rolloutsOf(rendered: string): readonly Rollout[] {
  const manifests = parseAllDocuments(rendered).map((document) => document.toJS() as Manifest | null);
  return manifests.flatMap((manifest) => {
    const { name = '', namespace = 'default', labels = {} } = manifest?.metadata ?? {};
    const kind = kindOf(manifest);
    return kind === undefined || labels['app.kubernetes.io/name'] !== 'facteur' ? [] : [{ kind, name, namespace }];
  });
}

function kindOf(manifest: Manifest | null): Rollout['kind'] | undefined {
  if (manifest?.kind === 'Deployment') {
    return 'Deployment';
  }
  return manifest?.kind === 'Service' && manifest.apiVersion?.startsWith('serving.knative.dev/')
    ? 'KnativeService'
    : undefined;
}

interface KnativeService {
  readonly metadata?: { readonly generation?: number };
  readonly status?: KnativeStatus;
}

interface KnativeStatus {
  readonly observedGeneration?: number;
  readonly latestCreatedRevisionName?: string;
  readonly latestReadyRevisionName?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message?: string }[];
}

/** Whether a rollout is complete, and its progress. */
export interface Progress {
  readonly ready: boolean;
  readonly detail: string;
}

/**
 * The progress of a Knative Service. `Ready` alone is not enough: until the change is observed, it is that of the previous
 * revision.
 */
export function knativeProgress(json: string): Progress {
  const { metadata, status } = JSON.parse(json) as KnativeService;
  return status === undefined || status.observedGeneration !== metadata?.generation
    ? { ready: false, detail: 'the change has not been seen yet' }
    : seenProgress(status);
}

function seenProgress({
  latestCreatedRevisionName: wanted,
  latestReadyRevisionName: running,
  conditions,
}: KnativeStatus): Progress {
  const condition = conditions?.find(({ type }) => type === 'Ready');
  if (condition?.status !== 'True') {
    return { ready: false, detail: condition?.message ?? 'not ready' };
  }
  return { ready: wanted !== undefined && wanted === running, detail: `${running} is ready, ${wanted} is wanted` };
}
