import { onTestFinished } from 'vitest';
import { createArgoClient } from '../../src/clients/argo/client.ts';
import type { ClusterAccess, Connection } from '../../src/clients/argo/connection.ts';
import type { ArgoClient, Workflow } from '../../src/clients/argo/workflows.ts';
import {
  startSimulatedCluster,
  type SimulatedCluster,
  type SimulatedClusterOptions,
} from '../../sandbox/cluster/cluster.ts';

/** The result of `JSON.parse`, untyped: a wrong shape fails the assertion that follows. */
export type Json = ReturnType<typeof JSON.parse>;

export const NAMESPACE = 'argo-workflows';
export const TEMPLATE = { namespace: NAMESPACE, name: 'plan' };

/** A simulated cluster that is closed when the test ends. Workflows hang unless the options say otherwise. */
export async function startCluster(options: SimulatedClusterOptions = {}): Promise<SimulatedCluster> {
  const cluster = await startSimulatedCluster({
    templates: [TEMPLATE],
    defaults: { outcome: 'hang', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 },
    ...options,
  });
  onTestFinished(async () => cluster.close());
  return cluster;
}

/** Access to `url` with a fixed token or none. */
export function accessTo(url: string, token?: string): ClusterAccess {
  const connection: Connection = {
    server: url,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    tls: {},
  };
  return { source: 'test', namespace: NAMESPACE, connection: async () => connection };
}

/** A client that is closed when the test ends. */
export function clientFor(access: ClusterAccess | string): ArgoClient {
  const client = createArgoClient(typeof access === 'string' ? accessTo(access) : access);
  onTestFinished(async () => client.close());
  return client;
}

/** A workflow of the template in `startCluster`. */
export function manifest(
  name: string,
  labels: Record<string, string> = {},
  parameters: Record<string, string> = {},
): Workflow {
  return {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Workflow',
    metadata: { name, namespace: NAMESPACE, labels },
    spec: {
      workflowTemplateRef: { name: TEMPLATE.name },
      arguments: { parameters: Object.entries(parameters).map(([key, value]) => ({ name: key, value })) },
    },
  };
}

/** Puts a workflow into the store directly, as if it were created over HTTP. */
export function seed(cluster: SimulatedCluster, workflow: Json): void {
  cluster.store.create('workflows', workflow);
}
