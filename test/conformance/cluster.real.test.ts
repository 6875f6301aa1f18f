import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';
import { ClusterApi, eventually, openCluster, type ApiObject } from '../../scripts/cluster/api.ts';
import { ensureNamespace } from '../../scripts/cluster/set-up.ts';
import { createArgoClient } from '../../src/clients/argo/client.ts';
import { setQuota } from '../cluster/quota.ts';
import { accessByToken } from '../cluster/world.ts';
import { approvalConformance, type ApprovalSubject } from './approval-suite.ts';
import { clusterConformance } from './cluster-suite.ts';
import { workflowConformance, type RunningSubject } from './workflow-suite.ts';

const [NAMESPACE, EMPTY] = ['conformance', 'conformance-empty'];
const ACCOUNT = { kind: 'ServiceAccount', name: 'default', namespace: NAMESPACE };

let admin: ClusterApi;
let subject: RunningSubject & ApprovalSubject;
beforeAll(async () => {
  const { FACTEUR_TEST_KUBECONFIG: kubeconfig = '', FACTEUR_TEST_ARGO: argo = '' } = process.env;
  admin = await openCluster(kubeconfig);
  await ensureNamespace(admin, NAMESPACE);
  await ensureNamespace(admin, EMPTY);
  const access = await accessByToken(kubeconfig, await tokenOfAccount());
  subject = {
    api: new ClusterApi(access),
    client: createArgoClient(access),
    namespace: NAMESPACE,
    emptyNamespace: EMPTY,
    allow: (count) => setQuota(admin, EMPTY, count),
    collectPods: async (workflow) => {
      for (const { metadata } of await podsOf(workflow)) {
        await admin.remove({ apiVersion: 'v1', kind: 'Pod', metadata });
      }
      await eventually(async () => {
        const left = await podsOf(workflow);
        if (left.length > 0) {
          throw new Error(`${left.length} pods are left`);
        }
      });
    },
    podsOf: async (workflow, step) =>
      (await podsOf(workflow)).filter(({ metadata }) =>
        metadata.annotations?.['workflows.argoproj.io/node-name']?.endsWith(`.${step}`),
      ).length,
    retry: async (workflow) => {
      const env = { ...process.env, KUBECONFIG: kubeconfig };
      await promisify(execFile)(argo, ['retry', NAMESPACE, workflow], { env });
    },
  };
});
afterAll(async () => {
  await subject?.client.close();
  await subject?.api.close();
  await admin.close();
});

async function podsOf(workflow: string): Promise<readonly Pick<ApiObject, 'metadata'>[]> {
  const selector = encodeURIComponent(`workflows.argoproj.io/workflow=${workflow}`);
  const { items } = await admin.call(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${selector}`);
  return items;
}

/** A token of an account with all rights. The cases need a token, and the administrator may have a certificate. */
async function tokenOfAccount(): Promise<string> {
  const group = 'rbac.authorization.k8s.io';
  await admin.apply({
    apiVersion: `${group}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'facteur-conformance' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [ACCOUNT],
  });
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${ACCOUNT.name}/token`;
  const { status } = await admin.call(path, { method: 'POST', body: { spec: { expirationSeconds: 3600 } } });
  return status.token;
}

clusterConformance('real', () => subject);
workflowConformance(() => subject);
approvalConformance(() => subject);
