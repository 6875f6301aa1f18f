import type { Manifest } from './manifests.ts';

/** The rights of a service account, sorted: `namespace: verb resource`. */
export function granted(manifests: readonly Manifest[], account: string): readonly string[] {
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
