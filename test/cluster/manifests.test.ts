import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { ensureNamespace } from '../../scripts/cluster/set-up.ts';
import { OVERLAYS, parseManifests, renderOverlay, titleOf, type Manifest } from '../deploy/manifests.ts';
import { workloadsOf } from '../deploy/workloads.ts';
import { useBench } from './bench.ts';

// Checks everything that ships like `kubectl apply --server-side --dry-run=server --validate=strict -k`, and the admission
// of its pods.

/** Custom resources of other projects' operators. Each file names its source. */
const DEFINITIONS = join(import.meta.dirname, 'definitions');
/** A namespace that enforces the same as facteur's own, for pods of every overlay. */
const RESTRICTED = 'restricted-test';

const bench = useBench();

beforeAll(async () => {
  const { api } = bench.world;
  const definitions = readdirSync(DEFINITIONS).flatMap((file) =>
    parseManifests(readFileSync(join(DEFINITIONS, file), 'utf8')),
  );
  await Promise.all(definitions.map((definition) => api.apply(definition)));
  await ensureNamespace(api, RESTRICTED, { 'pod-security.kubernetes.io/enforce': 'restricted' });
});

/** The error for an object; empty if the cluster accepts it as it is. */
async function faultOf(manifest: Manifest): Promise<string> {
  const { api } = bench.world;
  try {
    await api.apply(manifest, '&dryRun=All&fieldValidation=Strict');
    return '';
  } catch (error) {
    return `${titleOf(manifest)}: ${String(error)}`;
  }
}

describe.each(OVERLAYS)('overlay %s', (overlay) => {
  const manifests = renderOverlay(overlay);

  test('the cluster accepts every object as it is, without unknown fields', { timeout: 180_000 }, async () => {
    const { api } = bench.world;
    const namespaces = new Set(manifests.flatMap(({ metadata }) => metadata.namespace ?? []));
    for (const name of namespaces) {
      if ((await api.send(`/api/v1/namespaces/${name}`)).status === 404) {
        await ensureNamespace(api, name);
      }
    }
    // A definition is served a moment after it is applied.
    const kinds = new Map(manifests.map((manifest) => [`${manifest.apiVersion} ${manifest.kind}`, manifest]));
    await expect
      .poll(
        () => Promise.all([...kinds.values()].map((manifest) => api.pathOf(manifest).catch(() => titleOf(manifest)))),
        {
          timeout: 120_000,
        },
      )
      .not.toContainEqual(expect.not.stringMatching(/^\//));
    const faults = await Promise.all(manifests.map((manifest) => faultOf(manifest)));
    expect(faults.filter((fault) => fault !== '')).toEqual([]);
  });

  test('every pod is admitted in a namespace that enforces "restricted"', async () => {
    // The agent image of proompteng/lab needs root; workflows have a namespace of their own.
    const workloads = workloadsOf(manifests).filter(({ title }) => overlay !== 'lab' || !title.startsWith('Workflow'));
    expect(workloads.length).toBeGreaterThan(1);
    const answers = await Promise.all(
      workloads.map(async ({ title, spec }) => {
        const { status, body } = await bench.world.api.send(`/api/v1/namespaces/${RESTRICTED}/pods?dryRun=All`, {
          method: 'POST',
          // The pods' own accounts are in another namespace.
          body: {
            apiVersion: 'v1',
            kind: 'Pod',
            metadata: { generateName: 'pod-' },
            spec: { ...spec, serviceAccountName: 'default' },
          },
        });
        return status === 201 ? '' : `${title}: ${JSON.stringify(body)}`;
      }),
    );
    expect(answers.filter((answer) => answer !== '')).toEqual([]);
  });
});

test('finds a misspelled field, a wrong type and a pod that may run as root', async () => {
  const deployment = renderOverlay('kubernetes').find((manifest) => titleOf(manifest) === 'Deployment facteur')!;
  const changed = (change: object): Manifest => ({ ...deployment, spec: { ...deployment['spec'], ...change } });
  expect(await faultOf(changed({ replica: 2 }))).toContain('.spec.replica: field not declared in schema');
  expect(await faultOf(changed({ replicas: 'two' }))).toContain('replicas');
  const { status, body } = await bench.world.api.send(`/api/v1/namespaces/${RESTRICTED}/pods?dryRun=All`, {
    method: 'POST',
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'root' },
      spec: { containers: [{ name: 'a', image: 'none' }] },
    },
  });
  expect(status).toBe(403);
  expect(JSON.stringify(body)).toContain('violates PodSecurity');
});
