import { afterAll, beforeAll } from 'vitest';
import { ClusterApi } from '../../scripts/cluster/api.ts';
import { startSimulatedCluster, type SimulatedCluster } from '../../sandbox/cluster/cluster.ts';
import { createArgoClient } from '../../src/clients/argo/client.ts';
import { isRecord } from '../../src/base/json.ts';
import { accessTo } from '../support/cluster.ts';
import { approvalConformance, type ApprovalSubject } from './approval-suite.ts';
import { clusterConformance } from './cluster-suite.ts';
import { restartConformance, type RestartingSubject } from './restart-suite.ts';
import { workflowConformance, type RunningSubject } from './workflow-suite.ts';
import { TEMPLATES } from './workflow-templates.ts';

const [NAMESPACE, EMPTY] = ['conformance', 'conformance-empty'];

/** How many steps of a workflow had ended when their pods were collected. */
const collected = new Map<string, number>();

let cluster: SimulatedCluster;
let subject: RunningSubject & RestartingSubject & ApprovalSubject;
beforeAll(async () => {
  cluster = await startSimulatedCluster({
    namespaces: [NAMESPACE, EMPTY],
    tokens: ['ours'],
    defaults: { pendingMs: 0, startMs: 0, stepMs: 0 },
    plan: ({ spec: { workflowTemplateRef: template } }) =>
      (isRecord(template) && TEMPLATES[String(template['name'])]?.simulated) || {},
  });
  const api = new ClusterApi(accessTo(cluster.url, 'ours'));
  subject = {
    api,
    // The simulated cluster has no policies.
    admin: api,
    client: createArgoClient(accessTo(cluster.url, 'ours')),
    namespace: NAMESPACE,
    emptyNamespace: EMPTY,
    allow: async (limit) => {
      const quota = limit === undefined ? {} : { quota: { name: 'few', limit } };
      cluster.faults.apply({ op: 'quota', namespace: EMPTY, ...quota });
    },
    collectPods: async (name) => void collected.set(name, cluster.controller.completionsOf(NAMESPACE, name).length),
    podsOf: async (name, step) =>
      cluster.controller
        .completionsOf(NAMESPACE, name)
        .slice(collected.get(name))
        .filter((completed) => completed === step).length,
    retry: async (name) => void cluster.controller.retry(NAMESPACE, name),
    stop: () => cluster.disconnect(),
    start: () => cluster.reconnect(),
  };
});
afterAll(async () => {
  await subject.client.close();
  await subject.api.close();
  await cluster.close();
});

clusterConformance('simulated', () => subject);
workflowConformance(() => subject);
approvalConformance(() => subject);
restartConformance(() => subject);
