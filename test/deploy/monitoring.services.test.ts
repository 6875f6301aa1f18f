import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { DEPLOY, findManifest, parseManifests } from './manifests.ts';
import { findTool } from './tools.ts';
import { typeFaults } from './type-check.ts';

const folder = mkdtempSync(join(tmpdir(), 'facteur-overlay-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** An overlay of somebody's own, with what none of ours has, because not every cluster has the definitions. */
const manifests = (() => {
  const at = (path: string): string => relative(folder, join(DEPLOY, path));
  const overlay = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: [at('overlays/kubernetes')],
    components: [at('components/monitoring'), at('components/service-monitor')],
  };
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(overlay));
  return parseManifests(execFileSync(findTool('kubectl'), ['kustomize', folder], { encoding: 'utf8' }));
})();

test('alerts and scrape have the shape that the operator publishes', { timeout: 60_000 }, async () => {
  const ours = manifests.filter(({ kind }) => ['PrometheusRule', 'ServiceMonitor', 'ConfigMap'].includes(kind));
  expect(ours.length).toBeGreaterThanOrEqual(4);
  expect(await typeFaults(ours)).toEqual([]);
});

test('the scrape finds the service, and facteur is told to answer it', () => {
  const { spec } = findManifest(manifests, 'ServiceMonitor facteur');
  const service = findManifest(manifests, 'Service facteur');
  expect(service.metadata.labels).toMatchObject(spec.selector.matchLabels);
  expect(service['spec'].ports.map(({ name }: { name: string }) => name)).toContain(spec.endpoints[0].port);
  const telemetry = manifests.find(({ metadata }) => metadata.name.startsWith('facteur-telemetry'));
  expect(telemetry?.['data']).toMatchObject({ OTEL_METRICS_EXPORTER: 'prometheus', OTEL_SERVICE_NAME: 'facteur' });
});

test('the dashboard is found by Grafana, whole', () => {
  const { metadata, data } = findManifest(manifests, 'ConfigMap facteur-dashboard');
  expect(metadata.labels).toEqual({ grafana_dashboard: '1' });
  expect(JSON.parse(data['facteur.json']).uid).toBe('facteur');
});
