import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DEPLOY, findManifest, parseManifests, renderOverlay, titleOf, type Manifest } from './manifests.ts';
import { restrictedFaults } from './pod-security.ts';
import { policiesOf, reaching } from './reach.ts';
import { findTool } from './tools.ts';
import { typeFaults } from './type-check.ts';
import { workloadsOf } from './workloads.ts';

const CHART = join(DEPLOY, 'chart');
const EVERYTHING = [
  'consumer.enabled=true',
  'serviceMonitor.enabled=true',
  'serviceMonitor.labels.release=prometheus',
  'networkPolicy.intakeFrom[0].podSelector.matchLabels.app=relay',
  'imagePullSecrets[0].name=registry',
  'extraEnv[0].name=FACTEUR_DISCORD_FOLLOW_UP_EVENTS',
  'extraEnv[0].value=yes',
  'extraVolumes[0].name=ca',
  'extraVolumes[0].secret.secretName=postgres-ca',
  'extraVolumeMounts[0].name=ca',
  'extraVolumeMounts[0].mountPath=/ca',
  'extraVolumeMounts[0].readOnly=true',
  `image.digest=sha256:${'a'.repeat(64)}`,
];

/** Values that are always text, whatever they look like. */
const TEXT = /^(?:name|workflows\.namespaces.*|secrets\..*|consumer\.(?:topic|groupId)|networkPolicy\..*Namespace)=/;

function helm(...args: readonly string[]): {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
} {
  return spawnSync(findTool('helm'), args, { encoding: 'utf8' });
}

function render(...values: readonly string[]): readonly Manifest[] {
  const set = values.flatMap((value) => [TEXT.test(value) ? '--set-string' : '--set', value]);
  const { stdout, stderr, status } = helm('template', 'facteur', CHART, '--namespace', 'facteur', ...set);
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return parseManifests(stdout).filter((manifest) => manifest !== null);
}

/** Intended differences: the registry of images, hashes in names, line breaks in expressions. */
const DIFFERENT: readonly (readonly [RegExp, string])[] = [
  [/^.*\/facteur:/, 'facteur:'],
  [/^(facteur-(?:config|telemetry))-[a-z0-9]{10}$/, '$1'],
  [/\s+/g, ' '],
];

function plain(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([key]) => key !== 'checksum/config' && key !== 'config.yaml');
    return Object.fromEntries(entries.map(([key, inner]) => [key, plain(inner)]));
  }
  return typeof value === 'string'
    ? DIFFERENT.reduce((text, [from, to]) => text.replaceAll(new RegExp(from, 'g'), to), value)
    : value;
}

/** The objects by kind, name and namespace. */
function comparable(manifests: readonly Manifest[]): Readonly<Record<string, unknown>> {
  const objects = manifests.filter(({ kind }) => kind !== 'Namespace').map((manifest) => plain(manifest) as Manifest);
  return Object.fromEntries(objects.map((one) => [`${titleOf(one)} ${one.metadata.namespace ?? ''}`, one]));
}

/** The parsed configuration. */
function configOf(manifests: readonly Manifest[]): Manifest {
  const found = manifests.find(
    ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name.startsWith('facteur-config'),
  );
  return parseManifests(found?.['data']['config.yaml'])[0]!;
}

test('helm lint finds nothing', () => {
  const { stdout, status } = helm('lint', '--strict', CHART);
  expect(stdout).not.toMatch(/\[(ERROR|WARNING)\]/);
  expect(status).toBe(0);
});

test('the defaults render the objects of the overlay `kubernetes`', () => {
  const [chart, overlay] = [render(), renderOverlay('kubernetes')];
  const deployment = findManifest(chart, 'Deployment facteur')['spec'].template;
  expect(Object.keys(deployment.metadata.annotations)).toEqual(['checksum/config']);
  delete deployment.metadata.annotations;
  expect(comparable(chart)).toEqual(comparable(overlay));
  // The chart's Redis comes from the Secret.
  const { redis: _, ...config } = configOf(overlay);
  expect(configOf(chart)).toEqual(config);
});

describe.each([
  ['its defaults', []],
  ['everything', EVERYTHING],
  [
    'as little as possible',
    [
      'networkPolicy.enabled=false',
      'discordIngress.enabled=false',
      'workflows.template.enabled=false',
      'workflows.stepLogs=false',
      'admissionPolicy.enabled=false',
    ],
  ],
])('with %s', (_name, values) => {
  const manifests = render(...values);

  test('every object matches the published types of Kubernetes and the operators', async () => {
    expect(await typeFaults(manifests)).toEqual([]);
  });

  test('every pod passes "restricted"', () => {
    const faults = workloadsOf(manifests).flatMap(({ title, spec }) =>
      restrictedFaults(spec).map((fault) => `${title}: ${fault}`),
    );
    expect(faults).toEqual([]);
  });
});

test('values reach the objects that they configure', () => {
  const manifests = render(
    ...EVERYTHING,
    'name=herald',
    'workflows.namespaces={jobs,more}',
    'config.argo.namespace=jobs',
    'config.codex_implementation_orchestrator.namespace=more',
    'config.argo.ui_url=https://argo.example.org',
  );
  const { labels, spec } = workloadsOf(manifests).find(({ title }) => title === 'Deployment herald')!;
  const [container] = spec.containers;
  expect(container?.image).toBe(`ghcr.io/proompteng/facteur@sha256:${'a'.repeat(64)}`);
  expect(container?.env).toContainEqual({ name: 'FACTEUR_DISCORD_FOLLOW_UP_EVENTS', value: 'yes' });
  expect(findManifest(manifests, 'ConfigMap herald-config')['data']['config.yaml']).toContain(
    'ui_url: https://argo.example.org',
  );
  const roles = manifests.filter(({ kind, metadata }) => kind === 'Role' && metadata.name === 'herald');
  expect(roles.map(({ metadata }) => metadata.namespace)).toEqual(['jobs', 'more']);
  expect(JSON.stringify(findManifest(manifests, 'ValidatingAdmissionPolicy herald-workflows'))).toContain(
    'system:serviceaccount:facteur:herald',
  );
  expect(reaching(policiesOf(manifests), labels)).toMatchObject({
    'jobs/workflows.argoproj.io/workflow': [8083],
    'more/workflows.argoproj.io/workflow': [8083],
  });
});

test('the alerts find the metrics of an installation with another name', () => {
  const manifests = render('serviceMonitor.enabled=true', 'name=herald');
  const [{ relabelings }] = findManifest(manifests, 'ServiceMonitor herald')['spec'].endpoints;
  expect(relabelings).toEqual([{ targetLabel: 'job', replacement: 'facteur' }]);
});

test('the ServiceMonitor has the labels by which Prometheus selects it', () => {
  const { metadata } = findManifest(render(...EVERYTHING), 'ServiceMonitor facteur');
  expect(metadata.labels).toEqual({ 'app.kubernetes.io/name': 'facteur', release: 'prometheus' });
});

test.each([
  ['no exporter', [], 'prometheus'],
  ['another exporter', ['telemetry.OTEL_METRICS_EXPORTER=otlp'], 'otlp,prometheus'],
  ['both exporters', ['telemetry.OTEL_METRICS_EXPORTER=prometheus\\,otlp'], 'prometheus,otlp'],
  ['no metrics', ['telemetry.OTEL_METRICS_EXPORTER=none'], 'prometheus'],
])('metrics can be scraped if the values set %s', (_what, values, expected) => {
  const manifests = render('serviceMonitor.enabled=true', ...values);
  expect(findManifest(manifests, 'ConfigMap facteur-telemetry')['data'].OTEL_METRICS_EXPORTER).toBe(expected);
});

test('text that looks like something else stays text', async () => {
  const manifests = render(
    'name=on',
    'workflows.namespaces[0]=2024',
    'config.argo.namespace=2024',
    'config.codex_implementation_orchestrator.enabled=false',
    'secrets.redis=1e3',
    'consumer.topic=true',
    'consumer.groupId=007',
    'networkPolicy.kafkaNamespace=2025',
    'consumer.enabled=true',
  );
  expect(await typeFaults(manifests)).toEqual([]);
});

test('the consumer can reach the configured brokers, and the dead-letter topic can be disabled', () => {
  const manifests = render(
    'consumer.enabled=true',
    'consumer.brokers={one.kafka:9094,two.kafka:9092,kafka-3,[::1]:9095}',
    'consumer.deadLetterTopic=',
  );
  const [{ ports }] = findManifest(manifests, 'NetworkPolicy facteur-to-kafka')['spec'].egress;
  expect(ports.map(({ port }: { readonly port: number }) => port)).toEqual([9092, 9093, 9094, 9095]);
  const { spec } = workloadsOf(manifests).find(({ title }) => title === 'Deployment facteur-consumer')!;
  expect(spec.containers[0]?.env).toContainEqual({ name: 'FACTEUR_CONSUMER_DLQ_ENABLED', value: 'false' });
});

test('the consumer can reach brokers outside the cluster, without SASL', () => {
  const manifests = render(
    'consumer.enabled=true',
    'consumer.brokers={kafka.example.org:9096}',
    'networkPolicy.kafkaNamespace=',
    'secrets.kafka=',
  );
  const { egress } = findManifest(manifests, 'NetworkPolicy facteur-to-kafka')['spec'];
  expect(egress).toEqual([{ ports: [9092, 9093, 9096].map((port) => ({ protocol: 'TCP', port })) }]);
  const { spec } = workloadsOf(manifests).find(({ title }) => title === 'Deployment facteur-consumer')!;
  expect(JSON.stringify(spec)).not.toMatch(/SASL|kafka-/);
});

test('every pod gets the extra volumes, such as a certificate authority for the DSN', () => {
  const own = workloadsOf(render(...EVERYTHING)).filter(({ title }) => /^(?:Deployment|CronJob) /.test(title));
  expect(own).toHaveLength(3);
  for (const { spec } of own) {
    expect(spec).toMatchObject({
      containers: [{ volumeMounts: [{ name: 'config' }, { name: 'ca', mountPath: '/ca', readOnly: true }] }],
      volumes: [{ name: 'config' }, { name: 'ca', secret: { secretName: 'postgres-ca' } }],
    });
  }
});

test('unset ports allow no port, not all ports', () => {
  const manifests = render('networkPolicy.storePorts=null', 'networkPolicy.apiServerPorts=null');
  const rules = manifests.flatMap(({ kind, spec }) => (kind === 'NetworkPolicy' ? (spec['egress'] ?? []) : []));
  const anyPort = rules.filter(({ ports }: { readonly ports?: unknown }) => (ports ?? null) === null);
  // The receiver of telemetry may use any port.
  expect(JSON.stringify(anyPort)).toBe(
    '[{"to":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"observability"}}}]}]',
  );
});

test.each([
  ['no consumer, and no topic for it', 'consumer.topic=,consumer.groupId=,consumer.brokers[0]='],
  [
    "another port for Discord, without the chart's Ingress",
    'discordIngress.enabled=false,config.discord.listen_address=:9000',
  ],
  ['metrics on the port of the probes, if nothing scrapes them', 'config.server.metrics_address=null'],
  ['an age in hours', 'maintain.olderThan=100000h'],
  ['an age with a leading zero', 'maintain.olderThan=090d'],
  ['namespaces of templates as a string', 'config.commands_from_templates.namespaces=argo-workflows'],
  [
    'a namespace set by a variable instead of the configuration',
    'workflows.namespaces[0]=jobs,config.codex_implementation_orchestrator.enabled=false,extraEnv[0].name=FACTEUR_ARGO_NAMESPACE,extraEnv[0].value=jobs',
  ],
  ['a command disabled with null', 'config.commands.deploy=null'],
  ['any account, if no policy limits them', 'admissionPolicy.enabled=false,config.argo.service_account=builder'],
])('accepts %s', (_what, values) => {
  expect(render(...values.split(','))).not.toEqual([]);
});

test.each([
  ['an unknown value', 'replica=2', /additional properties 'replica'|Additional property replica/i],
  ['a wrong type', 'replicas=two', /replicas/],
  ['an invalid digest', 'image.digest=latest', /digest/],
  ['an age that `facteur maintain` does not accept', 'maintain.olderThan=4w', /olderThan/],
  ['a broker that is a URL', 'consumer.enabled=true,consumer.brokers[0]=http://kafka:9092', /brokers/],
  ['a consumer without a topic', 'consumer.enabled=true,consumer.topic=', /topic/],
  ['a port without a Service', 'config.server.intake_address=:9000', /intake_address/],
  ['an address that only the pod can reach', 'config.discord.listen_address=127.0.0.1:8082', /listen_address/],
  ['a door on the port of another', 'config.server.api_address=null', /api_address/],
  [
    'metrics on a port that is not scraped',
    'serviceMonitor.enabled=true,config.server.metrics_address=null',
    /metrics_address/,
  ],
  ['an age of zero', 'maintain.olderThan=0d', /olderThan/],
  ['an invalid schedule', 'maintain.schedule=often', /schedule/],
  ['a host that is a URL', 'discordIngress.host=https://facteur.example.org', /host/],
  ['an invalid image tag', 'image.tag=a b', /tag/],
  ['a variable with a value that is not text', 'extraEnv[0].name=A,extraEnv[0].value=1', /value/],
  ['a port instead of an address', 'config.server.listen_address=8080', /listen_address/],
  ['a consumer without brokers', 'consumer.enabled=true,consumer.brokers=null', /brokers/],
  ['no namespaces', 'workflows.namespaces=null', /namespaces/],
  [
    'a namespace without a Role',
    'config.argo.namespace=jobs',
    /config\.argo\.namespace: jobs is not in workflows\.namespaces/,
  ],
  [
    'a namespace without a Role for Codex tasks',
    'workflows.namespaces={a},config.argo.namespace=a',
    /orchestrator\.namespace: argo-wo/,
  ],
  [
    'a namespace without a Role for a command',
    'config.commands.deploy.namespace=jobs',
    /commands\.deploy\.namespace: jobs is not/,
  ],
  [
    'templates from a namespace without a Role',
    'config.commands_from_templates.namespaces={argo-workflows,jobs}',
    /templates\.namespaces: jobs is not in/,
  ],
  [
    'an account that the policy denies',
    'config.argo.service_account=root',
    /service_account: root is not in workflows\.ser/,
  ],
  [
    'an account of templates that the policy denies',
    'config.commands_from_templates.service_accounts={root}',
    /templates\.service_accounts: root is not in/,
  ],
  [
    'an account of Codex tasks that the policy denies, with a hint how to disable them',
    'workflows.serviceAccounts={facteur-workflow}',
    /codex-workflow is not in .*: set config\.codex_implementation_orchestrator\.enabled to false/,
  ],
  ['an extra volume without a name', 'extraVolumes[0].emptyDir.medium=Memory', /extraVolumes/],
  ['a mount without a path', 'extraVolumeMounts[0].name=ca', /extraVolumeMounts/],
  ['no configuration', 'config=null', /config/],
  [
    'an id without quotes, which Helm would round',
    'config.discord.guild_id=300000000000000001',
    /config\.discord\.guild_id: put the number in quotes/,
  ],
  [
    'an id without quotes in a list',
    'config.role_map.plan[0]=987654321098765432',
    /config\.role_map\.plan: put the number in quotes/,
  ],
])('refuses %s', (_what, value, says) => {
  const { status, stderr } = helm('template', 'facteur', CHART, '--set', value);
  expect(status).not.toBe(0);
  expect(stderr).toMatch(says);
});

test('refuses an id without quotes in a file of values, too', () => {
  const values = join(mkdtempSync(join(tmpdir(), 'facteur-values-')), 'values.yaml');
  onTestFinished(() => rmSync(dirname(values), { recursive: true }));
  writeFileSync(values, 'config: { discord: { guild_id: 300000000000000001 } }\n');
  const { stderr } = helm('template', 'facteur', CHART, '--values', values);
  expect(stderr).toMatch(/config\.discord\.guild_id: put the number in quotes/);
});

test.each(['17  3 * * *', '@daily', '@every 24h'])('accepts the schedule %j, like a CronJob', (schedule) => {
  expect(helm('template', 'facteur', CHART, '--set', `maintain.schedule=${schedule}`)).toMatchObject({ status: 0 });
});
