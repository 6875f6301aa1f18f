import { parseAllDocuments } from 'yaml';

/** Something that runs facteur and is waited for. */
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

/** What of a rendered overlay runs facteur for as long as it is there. */
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

/** Whether something is rolled out, and how far it is. */
export interface Progress {
  readonly ready: boolean;
  readonly detail: string;
}

/** How far a Knative Service is. `Ready` alone says nothing: until the change was seen it is that of the revision before. */
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
