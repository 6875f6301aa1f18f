import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findManifest, renderOverlay, titleOf, type Manifest } from './manifests.ts';
import { renderOwn } from './own-overlay.ts';
import { policiesOf, reaching } from './reach.ts';

// Compares the objects of facteur in proompteng/lab before and after the switch to the overlay `lab`.

const read = (path: string): string => readFileSync(join(import.meta.dirname, path), 'utf8');
/** The objects of the Go service's overlay, written by hand. */
const { objects: GO }: { readonly objects: readonly Manifest[] } = JSON.parse(read('lab/go-objects.json'));
const UPGRADE = read('../../docs/upgrade.md');
const OURS = renderOverlay('lab');

/** The first column of the table below a heading of docs/upgrade.md. */
function listedUnder(heading: string): readonly string[] {
  const section = UPGRADE.split(`\n### ${heading}\n`)[1]?.split('\n#')[0] ?? '';
  const cells = [...section.matchAll(/^\| ([^|]+?) *\|/gm)].map(([, cell = '']) => cell);
  return cells
    .slice(2)
    .flatMap((cell) => cell.split(', '))
    .map((cell) => cell.replaceAll('`', ''));
}

/** Group, kind, namespace and name, without a group's version: others refer to an object by these. */
function identityOf({ apiVersion, kind, metadata }: Manifest): string {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : 'core';
  return `${group} ${kind} ${metadata.namespace ?? ''}/${metadata.name}`;
}

const withoutHash = (title: string): string =>
  title.startsWith('ConfigMap ') ? title.replace(/-[a-z0-9]{10}$/, '') : title;

test('every object of the Go service keeps its name and labels, or the upgrade page says what replaces it', () => {
  const ours = new Map(OURS.map((manifest) => [identityOf(manifest), manifest]));
  const gone = GO.filter((manifest) => !ours.has(identityOf(manifest)));
  expect(gone.map((manifest) => titleOf(manifest)).toSorted()).toEqual(listedUnder('What disappears').toSorted());
  for (const manifest of GO) {
    const now = ours.get(identityOf(manifest));
    expect({ ...now?.metadata.labels }).toMatchObject(now === undefined ? {} : { ...manifest.metadata.labels });
  }
});

test('the upgrade page lists every new object', () => {
  const before = new Set(GO.map((manifest) => identityOf(manifest)));
  const added = OURS.filter((manifest) => !before.has(identityOf(manifest)));
  expect(added.map((manifest) => withoutHash(titleOf(manifest))).toSorted()).toEqual(
    listedUnder('What appears').toSorted(),
  );
});

test('Argo CD never prunes topics, databases and sealed secrets', () => {
  const sealed = {
    apiVersion: 'bitnami.com/v1alpha1',
    kind: 'SealedSecret',
    metadata: { name: 'facteur-discord', namespace: 'facteur' },
  };
  const own = renderOwn('lab', ['keep'], [sealed]);
  const kept = own.filter(({ kind }) => ['KafkaTopic', 'Cluster', 'Redis', 'SealedSecret'].includes(kind));
  expect(kept.map((manifest) => titleOf(manifest)).toSorted()).toEqual([
    'Cluster facteur-vector-cluster',
    'KafkaTopic discord-commands-incoming-dlq',
    'KafkaTopic discord-commands-topic',
    'Redis facteur-redis',
    'SealedSecret facteur-discord',
  ]);
  for (const { metadata } of kept) {
    expect(metadata.annotations?.['argocd.argoproj.io/sync-options']).toBe('Prune=false');
  }
});

test('a rollback, which prunes objects that the Go service does not have, deletes no object with data', () => {
  const before = new Set(GO.map((manifest) => identityOf(manifest)));
  const pruned = OURS.filter((manifest) => !before.has(identityOf(manifest))).map(({ kind }) => kind);
  expect(new Set(pruned)).toEqual(
    new Set([
      'ConfigMap',
      'CronJob',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'Role',
      'RoleBinding',
      'Service',
      'ValidatingAdmissionPolicy',
      'ValidatingAdmissionPolicyBinding',
    ]),
  );
});

test('declares no topic of another application', () => {
  const topics = OURS.filter(({ kind }) => kind === 'KafkaTopic').map(({ spec }) => spec.topicName);
  expect(topics.toSorted()).toEqual(['discord.commands.incoming', 'discord.commands.incoming.dlq']);
});

test('the database keeps what others rely on', () => {
  const { spec } = findManifest(OURS, 'Cluster facteur-vector-cluster');
  expect(spec).toMatchObject({
    imageName: 'registry.ide-newton.ts.net/lab/vecteur:18-trixie',
    instances: 3,
    storage: { storageClass: 'longhorn', size: '20Gi' },
    inheritedMetadata: {
      annotations: { 'reflector.v1.k8s.emberstack.com/reflection-auto-namespaces': 'pgadmin' },
    },
  });
  expect(reaching(policiesOf(OURS), { 'cnpg.io/cluster': 'facteur-vector-cluster' })).toMatchObject({
    pgadmin: [5432],
  });
});

test('Services and sources switch only after the new revision is up', () => {
  const wave = 'argocd.argoproj.io/sync-wave';
  const waiting = OURS.filter(({ metadata }) => metadata.annotations?.[wave] === '1').map(({ kind }) => kind);
  expect(new Set(waiting)).toEqual(new Set(['Service', 'KafkaSource', 'NetworkPolicy']));
  const early = OURS.filter(({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.annotations?.[wave] !== '1');
  expect(early).toEqual([]);
});

test('the dispatch template keeps its semaphore, retry and image', () => {
  const { spec } = findManifest(OURS, 'WorkflowTemplate facteur-dispatch');
  expect(spec).toMatchObject({
    serviceAccountName: 'facteur-workflow',
    entrypoint: 'implementation',
    synchronization: {
      semaphores: [{ configMapKeyRef: { name: 'argo-workflows-implementation-semaphore', key: 'max-concurrency' } }],
    },
    templates: [
      {
        retryStrategy: { limit: 3, retryPolicy: 'OnFailure' },
        container: {
          image: 'registry.ide-newton.ts.net/lab/codex-universal:latest',
          imagePullPolicy: 'Always',
          resources: { requests: { cpu: '2', memory: '4Gi' }, limits: { cpu: '4', memory: '6Gi' } },
        },
      },
    ],
  });
});
