import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { parse, stringify } from 'yaml';
import { accessByKubeconfig, openCluster, type ClusterApi } from '../../scripts/cluster/api.ts';
import { ensureNamespace } from '../../scripts/cluster/set-up.ts';
import type { ClusterAccess } from '../../src/clients/argo/connection.ts';
import { DEPLOY, parseManifests, renderOverlay, type Manifest } from '../deploy/manifests.ts';

/** The configuration of `facteur` in a pod of the shipped manifests. */
export const SHIPPED_CONFIG = readFileSync(join(DEPLOY, 'base/facteur.yaml'), 'utf8');

/** Adapts the shipped configuration to tests, and unsets what other tests set in the environment. */
export const SHIPPED_ENV = {
  FACTEUR_REDIS_URL: 'memory://',
  // Free ports, not those of the pods: several replicas run here at once.
  FACTEUR_SERVER_INTAKE_ADDRESS: '127.0.0.1:0',
  FACTEUR_SERVER_API_ADDRESS: '127.0.0.1:0',
  FACTEUR_SERVER_METRICS_ADDRESS: '127.0.0.1:0',
  FACTEUR_DISCORD_LISTEN_ADDRESS: '127.0.0.1:0',
  FACTEUR_ARGO_NAMESPACE: '',
  FACTEUR_ARGO_WORKFLOW_TEMPLATE: '',
  FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_ENABLED: '',
  FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_WORKFLOW_TEMPLATE: '',
  FACTEUR_SERVER_RUN_TOKEN_KEYS: JSON.stringify([{ id: 'test', secret: 'a-secret-of-32-characters-or-more' }]),
};

/** A real cluster with facteur's manifests in it. */
export interface World {
  readonly api: ClusterApi;
  /** The kubeconfig of the administrator. */
  readonly kubeconfig: string;
  /** A replacement of Argo's command line. */
  readonly argo: string;
}

/** The cluster that the tests share, with `deploy/overlays/kubernetes` and the templates of the tests. */
export async function openSharedWorld(): Promise<World> {
  const { FACTEUR_TEST_KUBECONFIG: kubeconfig = '', FACTEUR_TEST_ARGO: argo = '' } = process.env;
  if (kubeconfig === '' || argo === '') {
    throw new Error('no cluster to test against: use "npm run test:cluster", or eval what "npm run cluster:up" prints');
  }
  return openWorld(kubeconfig, argo);
}

export async function openWorld(kubeconfig: string, argo: string): Promise<World> {
  const api = await openCluster(kubeconfig);
  await ensureNamespace(api, 'argo-workflows');
  for (const manifest of renderOverlay('kubernetes')) {
    await api.apply(onStandIn(manifest));
  }
  for (const manifest of parseManifests(readFileSync(join(import.meta.dirname, 'templates.yaml'), 'utf8'))) {
    await api.apply(manifest);
  }
  return { api, kubeconfig, argo };
}

/** Service accounts of test workflows, in addition to those that ship. */
const TEST_ACCOUNTS = ['default', 'nobody', 'deployer'];

/** Changes only two things: the node of the pods, because no node here has the image, and the list of accounts. */
function onStandIn(manifest: Manifest): Manifest {
  if (manifest.kind === 'ValidatingAdmissionPolicy') {
    const [accounts] = manifest['spec'].variables;
    const expression = JSON.stringify([...JSON.parse(accounts.expression), ...TEST_ACCOUNTS]);
    return { ...manifest, spec: { ...manifest['spec'], variables: [{ ...accounts, expression }] } };
  }
  if (manifest.kind !== 'WorkflowTemplate') {
    return manifest;
  }
  return { ...manifest, spec: { ...manifest['spec'], nodeSelector: { 'facteur.test/kubelet': 'stand-in' } } };
}

/** The cluster of a kubeconfig, with the account of a token. Drops the client certificate, which would take precedence. */
export async function accessByToken(kubeconfig: string, token: string): Promise<ClusterAccess> {
  const access = await accessByKubeconfig(kubeconfig);
  const { server, tls } = await access.connection();
  const headers = { authorization: `Bearer ${token}` };
  return { ...access, connection: async () => ({ server, headers, tls: tls.ca === undefined ? {} : { ca: tls.ca } }) };
}

/** A kubeconfig with its token in a file next to it, as in a pod. */
export interface AccountAccess {
  readonly kubeconfig: string;
  readonly tokenFile: string;
  readonly access: ClusterAccess;
  /** Writes a fresh token for the account into the file. */
  renew(): Promise<void>;
}

/** Logs in a service account, by default facteur's own. Its files are removed when the test ends. */
export async function logIn(
  { api, kubeconfig }: World,
  namespace = 'facteur',
  name = 'facteur',
): Promise<AccountAccess> {
  const folder = mkdtempSync(join(tmpdir(), 'facteur-account-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const tokenFile = join(folder, 'token');
  const renew = async (): Promise<void> => {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const { status } = await api.call(path, { method: 'POST', body: { spec: { expirationSeconds: 3600 } } });
    writeFileSync(tokenFile, status.token);
  };
  await renew();
  const config = parse(readFileSync(kubeconfig, 'utf8'));
  const users = config.users.map((one: { readonly name: string }) => ({ name: one.name, user: { tokenFile } }));
  const file = join(folder, 'kubeconfig.yaml');
  writeFileSync(file, stringify({ ...config, users }));
  return { kubeconfig: file, tokenFile, access: await accessByKubeconfig(file), renew };
}
