import { describe, expect, test } from 'vitest';
import type { ArgoClient } from '../../src/clients/argo/workflows.ts';
import { findManifest, OVERLAYS, renderOverlay, type Manifest } from './manifests.ts';
import { workloadsOf } from './workloads.ts';

/** Pods that talk to the cluster's API. The others get no token, so they have none to lose. */
const WITH_TOKEN = ['Service facteur', 'Deployment facteur', 'Deployment facteur-consumer', 'Deployment facteur-alloy'];

/** The verb that each call of the client needs. Type-checked: a new call has to say what it needs. */
const NEEDS: Record<Exclude<keyof ArgoClient, 'serverVersion' | 'close'>, string> = {
  createWorkflow: 'create workflows',
  getWorkflow: 'get workflows',
  listWorkflows: 'list workflows',
  watchWorkflows: 'watch workflows',
  patchWorkflow: 'patch workflows',
  getWorkflowTemplate: 'get workflowtemplates',
  podLog: 'get pods/log',
};

/** The NetworkPolicy fields that these tests read. */
interface Policy {
  readonly podSelector: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly { readonly from?: readonly object[] }[];
}

describe.each(OVERLAYS)('overlay %s', (overlay) => {
  const manifests = renderOverlay(overlay);

  test('lets facteur do in the workflows’ namespace what it does, and nothing else', () => {
    expect(granted(manifests, 'facteur')).toEqual(
      Object.values(NEEDS)
        .map((need) => `argo-workflows: ${need}`)
        .toSorted(),
    );
  });

  test('lets workflows report their results, and nothing else', () => {
    expect(granted(manifests, 'facteur-workflow')).toEqual([
      'argo-workflows: create workflowtaskresults',
      'argo-workflows: patch workflowtaskresults',
    ]);
  });

  test('grants nothing in the whole cluster, and nothing by a wildcard', () => {
    expect(manifests.filter(({ kind }) => kind.startsWith('ClusterRole'))).toEqual([]);
    const rules = manifests.filter(({ kind }) => kind === 'Role').map((role) => role['rules']);
    expect(rules.length).toBeGreaterThan(1);
    expect(JSON.stringify(rules)).not.toContain('*');
  });

  test('gives a token to the pods that use one', () => {
    const workloads = workloadsOf(manifests).filter(({ title }) => !title.startsWith('WorkflowTemplate'));
    const withToken = workloads.filter(({ spec }) => spec.automountServiceAccountToken !== false);
    expect(withToken.length).toBeGreaterThan(0);
    expect(withToken.map(({ title }) => title).filter((title) => !WITH_TOKEN.includes(title))).toEqual([]);
    const accounts = manifests.filter(
      ({ kind, metadata }) => kind === 'ServiceAccount' && metadata.namespace === 'facteur',
    );
    expect(new Set(accounts.map((account) => account['automountServiceAccountToken']))).toEqual(new Set([false]));
  });

  test('lets nobody in who is not named', () => {
    expect(findManifest(manifests, 'NetworkPolicy nobody-in')['spec']).toEqual({
      podSelector: {},
      policyTypes: ['Ingress'],
    });
    const open = policiesOf(manifests).flatMap(({ ingress = [] }) =>
      ingress.filter(({ from = [] }) => from.length === 0),
    );
    expect(open).toEqual([]);
  });

  test('lets no pod reach everything', () => {
    const outwards = policiesOf(manifests).filter(({ policyTypes }) => policyTypes.includes('Egress'));
    const unbound = workloadsOf(manifests).filter(
      ({ labels }) => !outwards.some(({ podSelector }) => selects(podSelector, labels)),
    );
    // It has a namespace of its own, whose policies are its owner's.
    expect(unbound.map(({ title }) => title)).toEqual(['WorkflowTemplate facteur-dispatch']);
  });

  test('keeps pods away from where clouds hand out credentials', () => {
    const text = JSON.stringify(policiesOf(manifests));
    const everywhere = text.match(/"cidr":"0\.0\.0\.0\/0"/g) ?? [];
    expect(everywhere.length).toBeGreaterThan(0);
    expect(text.match(/"cidr":"0\.0\.0\.0\/0","except":\["169\.254\.0\.0\/16"\]/g)).toHaveLength(everywhere.length);
  });
});

function policiesOf(manifests: readonly Manifest[]): readonly Policy[] {
  return manifests.filter(({ kind }) => kind === 'NetworkPolicy').map(({ spec }) => spec as Policy);
}

function selects({ matchLabels = {} }: Policy['podSelector'], labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(matchLabels).every(([name, value]) => labels[name] === value);
}

/** What a service account may do, sorted: `namespace: verb resource`. */
function granted(manifests: readonly Manifest[], account: string): readonly string[] {
  const bindings = manifests.filter(
    ({ kind, subjects }) => kind === 'RoleBinding' && subjects.some(({ name }: { name: string }) => name === account),
  );
  return bindings.flatMap((binding) => rulesOf(manifests, binding)).toSorted();
}

function rulesOf(manifests: readonly Manifest[], { metadata, roleRef }: Manifest): readonly string[] {
  const { namespace } = metadata;
  const role = manifests.find(
    (one) => one.kind === 'Role' && one.metadata.name === roleRef.name && one.metadata.namespace === namespace,
  );
  const rules = (role?.['rules'] ?? []) as readonly { readonly resources: string[]; readonly verbs: string[] }[];
  return rules.flatMap(({ resources, verbs }) =>
    resources.flatMap((resource) => verbs.map((verb) => `${namespace}: ${verb} ${resource}`)),
  );
}
