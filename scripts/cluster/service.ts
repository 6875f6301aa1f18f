import { errorMessage } from '../../src/base/errors.ts';
import { serverDirectory, startDaemon } from '../services/daemon.ts';
import type { Location, Service, ServiceContext, StartedService } from '../services/service.ts';
import { openCluster } from './api.ts';
import { ensureBinaries, removeOldBinaries, type Binaries } from './binaries.ts';
import { argoPlan, LocalCluster } from './local-cluster.ts';
import { setUpCluster } from './set-up.ts';

/** Resources that facteur uses have their full schema. A busy API server needs half a minute to load each schema. */
const FULL = ['workflows', 'workflowtemplates'];

/** The cluster that tests share: Kubernetes and Argo Workflows. */
export const cluster: Service = {
  name: 'cluster',
  variable: 'FACTEUR_TEST_KUBECONFIG',
  start: startCluster,
  check: assertUsable,
};

/**
 * Simulates the pods of the cluster, also of one that was given; on a cluster with real nodes, only pods that request it. Its
 * variable names the program, which also replaces Argo's command line.
 */
export const standIn: Service = { name: 'stand-in', variable: 'FACTEUR_TEST_ARGO', start: startStandIn };

async function startCluster(context: ServiceContext): Promise<StartedService> {
  const binaries = ensureBinaries(context);
  const local = await LocalCluster.create(binaries);
  await local.start('etcd', context.began);
  await local.start('apiserver', context.began);
  await setUp(local, binaries);
  await local.start('controller', context.began);
  return { value: local.kubeconfig, daemons: local.daemons };
}

async function startStandIn(context: ServiceContext): Promise<StartedService> {
  const { argo } = ensureBinaries(context);
  removeOldBinaries(context);
  const directory = serverDirectory('stand-in', undefined);
  const kubeconfig = context.variables?.[cluster.variable] ?? '';
  const plan = argoPlan(argo, 'kubelet', { kubeconfig, directory });
  const { began } = context;
  const daemon = await startDaemon({ ...plan, directory, identity: undefined, stopSignal: 'SIGTERM', began });
  return { value: argo, daemons: [daemon] };
}

async function setUp(local: LocalCluster, { definitions }: Binaries): Promise<void> {
  const api = await openCluster(local.kubeconfig);
  try {
    await setUpCluster(api, { definitions, full: FULL });
  } finally {
    await api.close();
  }
}

/** Rejects with one line if the kubeconfig does not lead to a cluster with Argo Workflows. */
async function assertUsable({ value }: Location): Promise<void> {
  try {
    const api = await openCluster(value);
    try {
      await api.call('/apis/argoproj.io/v1alpha1');
    } finally {
      await api.close();
    }
  } catch (error) {
    throw new Error(
      `${value} leads to no cluster with Argo Workflows (${errorMessage(error)}): correct FACTEUR_TEST_KUBECONFIG, or unset it to have a cluster started`,
      { cause: error },
    );
  }
}
