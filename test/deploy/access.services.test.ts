import { describe, expect, test } from 'vitest';
import type { ArgoClient } from '../../src/clients/argo/workflows.ts';
import { findManifest, OVERLAYS, renderOverlay } from './manifests.ts';
import { policiesOf, reaching, selects, servedAt, shippedConfig } from './reach.ts';
import { granted } from './rights.ts';
import { serverOf, workloadsOf } from './workloads.ts';

/** Pods that use the cluster's API. The others get no token: they cannot leak one. */
const WITH_TOKEN = ['Service facteur', 'Deployment facteur', 'Deployment facteur-consumer', 'Deployment facteur-alloy'];

/** The verb that each call of the client needs; `/version`, `/readyz` and token keys need none. A new call must be added. */
const NEEDS: Record<Exclude<keyof ArgoClient, 'serverVersion' | 'tokenKeys' | 'isReady' | 'close'>, string> = {
  createWorkflow: 'create workflows',
  getWorkflow: 'get workflows',
  listWorkflows: 'list workflows',
  watchWorkflows: 'watch workflows',
  patchWorkflowIf: 'patch workflows',
  patchWorkflow: 'patch workflows',
  getWorkflowTemplate: 'get workflowtemplates',
  listWorkflowTemplates: 'list workflowtemplates',
  watchWorkflowTemplates: 'watch workflowtemplates',
  podLog: 'get pods/log',
};

/** Ports of Knative's sidecar for requests, probes and metrics. It forwards requests to the one port of the Service. */
const SIDECAR = [8012, 8013, 8022, 8112, 9090, 9091];
/** Pods created by Argo, whatever else runs in their namespace. */
const WORKFLOWS = 'argo-workflows/workflows.argoproj.io/workflow';

/** Pods that deliver the records of KafkaSources. */
const DISPATCHERS = 'knative-eventing/app=kafka-source-dispatcher';

/** Who may reach which ports of the server. {@link servedAt} has what each port serves. */
const REACHES_SERVER: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  knative: {
    [WORKFLOWS]: [8083],
    [DISPATCHERS]: [8081],
    'istio-system': SIDECAR,
    'knative-serving': SIDECAR,
    'kourier-system': SIDECAR,
  },
  lab: {
    [WORKFLOWS]: [8083],
    [DISPATCHERS]: [8081],
    'jangar/app.kubernetes.io/name=jangar': [8081],
    tailscale: [8083],
    'istio-system': SIDECAR,
    'knative-serving': SIDECAR,
    'kourier-system': SIDECAR,
  },
  kubernetes: { [WORKFLOWS]: [8083], 'ingress-nginx': [8082] },
  'kubernetes-kafka': { [WORKFLOWS]: [8083], 'ingress-nginx': [8082] },
};

describe.each(OVERLAYS)('overlay %s', (overlay) => {
  const manifests = renderOverlay(overlay);
  const isKnative = manifests.some(({ apiVersion }) => apiVersion.startsWith('serving.knative.dev/'));

  test('grants facteur exactly the rights in the workflows’ namespace that it needs', () => {
    expect(granted(manifests, 'facteur')).toEqual(
      [...new Set(Object.values(NEEDS))].map((need) => `argo-workflows: ${need}`).toSorted(),
    );
  });

  test('allows workflows only to report their results', () => {
    expect(granted(manifests, 'facteur-workflow')).toEqual([
      'argo-workflows: create workflowtaskresults',
      'argo-workflows: patch workflowtaskresults',
    ]);
  });

  test('grants nothing cluster-wide, and nothing with a wildcard', () => {
    expect(manifests.filter(({ kind }) => kind.startsWith('ClusterRole'))).toEqual([]);
    const rules = manifests.filter(({ kind }) => kind === 'Role').map((role) => role['rules']);
    expect(rules.length).toBeGreaterThan(1);
    expect(JSON.stringify(rules)).not.toContain('*');
  });

  test('gives a token only to pods that use one', () => {
    const workloads = workloadsOf(manifests).filter(({ title }) => !title.startsWith('WorkflowTemplate'));
    const withToken = workloads.filter(({ spec }) => spec.automountServiceAccountToken !== false);
    expect(withToken.length).toBeGreaterThan(0);
    expect(withToken.map(({ title }) => title).filter((title) => !WITH_TOKEN.includes(title))).toEqual([]);
    const accounts = manifests.filter(
      ({ kind, metadata }) => kind === 'ServiceAccount' && metadata.namespace === 'facteur',
    );
    expect(new Set(accounts.map((account) => account['automountServiceAccountToken']))).toEqual(new Set([false]));
  });

  test('denies all traffic that is not listed', () => {
    expect(findManifest(manifests, 'NetworkPolicy nobody-in')['spec']).toEqual({
      podSelector: {},
      policyTypes: ['Ingress'],
    });
    const open = policiesOf(manifests).flatMap(({ ingress = [] }) =>
      ingress.filter(({ from = [] }) => from.length === 0),
    );
    expect(open).toEqual([]);
  });

  test('allows only known senders to reach the server, each on the ports that it needs', () => {
    const { labels } = serverOf(manifests);
    expect(reaching(policiesOf(manifests), labels)).toEqual(REACHES_SERVER[overlay]);
  });

  test('has a separate port for each door, without conflicts in the pod', async () => {
    expect(await servedAt(manifests)).toEqual({
      8080: [],
      8081: ['intake'],
      8082: ['discord'],
      8083: ['api'],
      8084: ['metrics'],
    });
    const [container] = serverOf(manifests).spec.containers;
    const ports = container?.ports?.map(({ containerPort }) => containerPort);
    expect(ports).toEqual(isKnative ? [8080] : [8080, 8081, 8082, 8083, 8084]);
    expect(SIDECAR.filter((port) => [8080, 8081, 8082, 8083, 8084].includes(port))).toEqual([]);
  });

  test('routes workflows to /v1 under the configured name', async () => {
    const { server } = await shippedConfig(manifests);
    const [name, namespace] = new URL(server.publicUrl ?? '').hostname.split('.');
    const service = manifests.find(
      ({ kind, apiVersion, metadata }) => kind === 'Service' && apiVersion === 'v1' && metadata.name === name,
    );
    expect(service).toMatchObject({ metadata: { namespace }, spec: { ports: [{ port: 80, targetPort: 8083 }] } });
  });

  test('routes KafkaSources to intake, past Knative’s gateway', () => {
    const sinks = manifests.filter(({ kind }) => kind === 'KafkaSource').map(({ spec }) => spec.sink.ref);
    for (const { apiVersion, name } of sinks) {
      const service = manifests.find(
        (one) => one.apiVersion === apiVersion && one.kind === 'Service' && one.metadata.name === name,
      );
      expect(service).toMatchObject({ apiVersion: 'v1', spec: { ports: [{ port: 80, targetPort: 8081 }] } });
    }
    expect(sinks).toHaveLength(isKnative ? 2 : 0);
  });

  test('allows facteur exactly the configured service accounts', async () => {
    const { argo, codex } = await shippedConfig(manifests);
    const { spec } = findManifest(manifests, 'ValidatingAdmissionPolicy facteur-workflows');
    const accounts = JSON.parse(spec.variables[0].expression) as readonly string[];
    expect(accounts.toSorted()).toEqual([argo.serviceAccount, codex.serviceAccount].toSorted());
  });

  test('denies workflows that the policy forbids, and all workflows if it cannot be evaluated', () => {
    const { spec } = findManifest(manifests, 'ValidatingAdmissionPolicy facteur-workflows');
    expect(spec.failurePolicy).toBe('Fail');
    const binding = findManifest(manifests, 'ValidatingAdmissionPolicyBinding facteur-workflows');
    expect(binding['spec'].validationActions).toEqual(['Deny']);
  });

  test('routes Discord only to its own door', () => {
    const services = manifests.filter(
      ({ kind, metadata }) => kind === 'Service' && metadata.name === 'facteur-discord',
    );
    expect(services.map(({ spec }) => spec.ports[0].targetPort)).toEqual(isKnative ? [] : [8082]);
  });

  test('requires a token for intake, if senders can send one', () => {
    const variable = 'FACTEUR_SERVER_INTAKE_TOKENS';
    const entry = serverOf(manifests).spec.containers[0]?.env?.find(({ name }) => name === variable);
    // KafkaSource cannot send custom headers.
    const expected = isKnative
      ? undefined
      : { name: variable, valueFrom: { secretKeyRef: { name: 'facteur-intake', key: 'tokens' } } };
    expect(entry).toEqual(expected);
  });

  test('limits the outgoing traffic of every pod', () => {
    const outwards = policiesOf(manifests).filter(({ policyTypes }) => policyTypes.includes('Egress'));
    const unbound = workloadsOf(manifests).filter(
      ({ labels }) => !outwards.some(({ podSelector }) => selects(podSelector, labels)),
    );
    // Its pods run in another namespace, with the policies of its owner.
    expect(unbound.map(({ title }) => title)).toEqual(['WorkflowTemplate facteur-dispatch']);
  });

  test('blocks the metadata services where clouds provide credentials', () => {
    const text = JSON.stringify(policiesOf(manifests));
    const everywhere = text.match(/"cidr":"0\.0\.0\.0\/0"/g) ?? [];
    expect(everywhere.length).toBeGreaterThan(0);
    expect(text.match(/"cidr":"0\.0\.0\.0\/0","except":\["169\.254\.0\.0\/16"\]/g)).toHaveLength(everywhere.length);
  });
});
