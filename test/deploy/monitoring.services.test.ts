import { expect, test } from 'vitest';
import { findManifest } from './manifests.ts';
import { renderOwn } from './own-overlay.ts';
import { policiesOf, reaching, servedAt } from './reach.ts';
import { typeFaults } from './type-check.ts';
import { serverOf } from './workloads.ts';

const manifests = renderOwn('kubernetes', ['monitoring', 'service-monitor']);

test('alerts and scrape match the operator’s published types', async () => {
  const ours = manifests.filter(({ kind }) => ['PrometheusRule', 'ServiceMonitor', 'ConfigMap'].includes(kind));
  expect(ours.length).toBeGreaterThanOrEqual(4);
  expect(await typeFaults(ours)).toEqual([]);
});

test('the scrape finds the service, and facteur is configured to serve it', () => {
  const { spec } = findManifest(manifests, 'ServiceMonitor facteur');
  const service = findManifest(manifests, 'Service facteur-metrics');
  expect(service.metadata.labels).toMatchObject(spec.selector.matchLabels);
  expect(service['spec'].ports.map(({ name }: { name: string }) => name)).toContain(spec.endpoints[0].port);
  const telemetry = manifests.find(({ metadata }) => metadata.name.startsWith('facteur-telemetry'));
  expect(telemetry?.['data']).toMatchObject({ OTEL_METRICS_EXPORTER: 'prometheus', OTEL_SERVICE_NAME: 'facteur' });
});

test('Grafana finds the complete dashboard', () => {
  const { metadata, data } = findManifest(manifests, 'ConfigMap facteur-dashboard');
  expect(metadata.labels).toEqual({ grafana_dashboard: '1' });
  expect(JSON.parse(data['facteur.json']).uid).toBe('facteur');
});

test.each([
  ['kubernetes', renderOwn('kubernetes', ['service-monitor'])],
  ['knative', renderOwn('knative', ['service-monitor', 'discord-ingress'])],
])('on %s, Prometheus reaches only the metrics, and the ingress only the port for Discord', async (_name, own) => {
  expect(reaching(policiesOf(own), serverOf(own).labels)).toMatchObject({
    observability: [8084],
    'ingress-nginx': [8082],
  });
  expect(await servedAt(own)).toMatchObject({ 8082: ['discord'], 8084: ['metrics'] });
  expect(findManifest(own, 'Service facteur-metrics')['spec'].ports).toMatchObject([{ targetPort: 8084 }]);
  expect(findManifest(own, 'Service facteur-discord')['spec'].ports).toMatchObject([{ targetPort: 8082 }]);
});
