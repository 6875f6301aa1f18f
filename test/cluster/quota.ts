import type { ClusterApi } from '../../scripts/cluster/api.ts';

/** Limits the workflows in a namespace with the quota `few`, and counts again; undefined removes the limit. */
export async function setQuota(api: ClusterApi, namespace: string, count: number | undefined): Promise<void> {
  const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'few', namespace } };
  if (count === undefined) {
    await api.remove(quota);
    return;
  }
  const hard = { 'count/workflows.argoproj.io': `${count}` };
  await api.apply({ ...quota, spec: { hard } });
  const { items } = await api.call(`/apis/argoproj.io/v1alpha1/namespaces/${namespace}/workflows`);
  // Replaces the quota controller: counts, and puts the limit in force.
  await api.call(`${await api.pathOf(quota)}/status`, {
    method: 'PATCH',
    contentType: 'application/merge-patch+json',
    body: { status: { hard, used: { 'count/workflows.argoproj.io': `${items.length}` } } },
  });
}
