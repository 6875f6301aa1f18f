import { describe, expect, test } from 'vitest';
import { EVERYTHING } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { findManifest, type Manifest, OVERLAYS, renderOverlay } from './manifests.ts';
import { environmentOf, facteursOf, serverOf } from './workloads.ts';

/** Values of the same form as those in the Secrets. */
const STAND_IN: Readonly<Record<string, string>> = {
  FACTEUR_SERVER_INTAKE_TOKENS: 'stand-in',
  FACTEUR_DISCORD_BOT_TOKEN: 'token',
  FACTEUR_DISCORD_APPLICATION_ID: '123456789012345678',
  FACTEUR_DISCORD_PUBLIC_KEY: 'a'.repeat(64),
  FACTEUR_SERVER_API_TOKENS: 'token',
  FACTEUR_SERVER_RUN_TOKEN_KEYS: '[{"id":"20260101","secret":"a-key-of-at-least-thirty-two-bytes"}]',
  FACTEUR_POSTGRES_DSN: 'postgresql://facteur:secret@facteur-vector-cluster-rw.facteur:5432/facteur_kb',
  FACTEUR_REDIS_URL: 'redis://redis:6379/0',
  FACTEUR_CONSUMER_SASL_MECHANISM: 'SCRAM-SHA-512',
  FACTEUR_CONSUMER_SASL_USERNAME: 'facteur',
  FACTEUR_CONSUMER_SASL_PASSWORD: 'secret',
};

const MAINTAIN = 'CronJob facteur-maintain';

/** Variables of every facteur process. Retention gets no more secrets than it needs. */
const SHARED = ['FACTEUR_CONFIG_FILE', 'FACTEUR_POSTGRES_DSN'];
const SHARED_BY_SERVICES = [...SHARED, 'FACTEUR_DISCORD_BOT_TOKEN', 'FACTEUR_DISCORD_APPLICATION_ID'];

const configOf = (manifests: readonly Manifest[]): string | undefined =>
  manifests.map(({ data }) => data?.['config.yaml'] as string | undefined).find((text) => text !== undefined);

describe.each(OVERLAYS)('overlay %s', (overlay) => {
  const manifests = renderOverlay(overlay);
  const ours = facteursOf(manifests);

  test('gives every facteur process the same shared settings', () => {
    const server = environmentOf(serverOf(manifests).spec);
    expect(server['FACTEUR_CONFIG_FILE']).toBe('/config/config.yaml');
    expect(server['FACTEUR_POSTGRES_DSN']).toEqual({ name: 'facteur-vector-cluster-app', key: 'uri' });
    for (const { title, spec } of ours) {
      const env = environmentOf(spec);
      const shared = title === MAINTAIN ? SHARED : SHARED_BY_SERVICES;
      expect(shared.filter((name) => JSON.stringify(env[name]) !== JSON.stringify(server[name]))).toEqual([]);
    }
  });

  test.each(ours)('$title has a valid configuration and only known variables', async ({ title, spec }) => {
    const env = Object.entries(environmentOf(spec)).map(
      ([name, value]) => [name, typeof value === 'string' ? value : STAND_IN[name]] as const,
    );
    expect(env.filter(([, value]) => value === undefined)).toEqual([]);
    const readFile = (): Promise<string> => Promise.resolve(configOf(manifests) ?? '');
    const require = title === MAINTAIN ? (['postgres'] as const) : EVERYTHING;
    const read = await loadConfig({ env: Object.fromEntries(env), readFile, strict: true, require });
    expect(read.warnings).toEqual([]);
  });
});

describe('the Knative overlay', () => {
  const manifests = renderOverlay('knative');

  test('has at least two instances, reachable only inside the cluster', () => {
    const { metadata, spec } = findManifest(manifests, 'Service facteur');
    expect(metadata.labels).toMatchObject({ 'networking.knative.dev/visibility': 'cluster-local' });
    expect(spec.template.metadata.annotations).toMatchObject({ 'autoscaling.knative.dev/min-scale': '2' });
  });

  test('routes each topic to its door', () => {
    const sources = manifests.filter(({ kind }) => kind === 'KafkaSource');
    expect(sources.map(({ spec }) => [spec.topics, spec.consumerGroup, spec.sink.ref.name, spec.sink.uri])).toEqual([
      [['github.issues.codex.tasks'], 'facteur-codex-listener', 'facteur-internal', '/codex/tasks'],
      [['discord.commands.incoming'], 'facteur-consumer', 'facteur-internal', '/events'],
    ]);
  });

  test('retries for more than an hour with short waits, then uses an existing dead-letter topic', () => {
    const topics = manifests.filter(({ kind }) => kind === 'KafkaTopic').map(({ spec }) => spec.topicName);
    const sources = manifests.filter(({ kind }) => kind === 'KafkaSource');
    expect(sources).toHaveLength(2);
    for (const { spec } of sources) {
      expect(topics).toContain(spec.topics[0]);
      const sink = findManifest(manifests, `KafkaSink ${spec.delivery.deadLetterSink.ref.name}`);
      expect(sink['spec'].topic).toBe(`${spec.topics[0]}.dlq`);
      expect(topics).toContain(sink['spec'].topic);
      // Linear: the nth wait is n times the first.
      expect(spec.delivery).toMatchObject({ retry: 100, backoffPolicy: 'linear', backoffDelay: 'PT1S' });
    }
  });

  test('has a database with pgvector, and Redis at the configured address', () => {
    expect(findManifest(manifests, 'Cluster facteur-vector-cluster')['spec'].bootstrap.initdb).toMatchObject({
      postInitApplicationSQL: expect.arrayContaining(['CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public']),
    });
    const redis = findManifest(manifests, 'Redis facteur-redis').metadata.name;
    expect(configOf(manifests)).toContain(`redis://${redis}:6379/0`);
  });
});

test('the overlay kubernetes-kafka enables the consumer and creates its topics', () => {
  const manifests = renderOverlay('kubernetes-kafka');
  const topics = manifests.filter(({ kind }) => kind === 'KafkaTopic').map(({ spec }) => spec.topicName);
  const env = environmentOf(findManifest(manifests, 'Deployment facteur-consumer')['spec'].template.spec);
  expect(env).toMatchObject({ FACTEUR_CONSUMER_ENABLED: 'true' });
  expect(topics).toEqual(expect.arrayContaining([env['FACTEUR_CONSUMER_TOPIC'], env['FACTEUR_CONSUMER_DLQ_TOPIC']]));
});
