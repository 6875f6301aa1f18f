import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { titleOf, type Manifest } from './manifests.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Groups whose types are not in kubernetes-models itself. */
const PACKAGES: Readonly<Record<string, string>> = {
  'argoproj.io/Application': '@kubernetes-models/argo-cd',
  'argoproj.io/WorkflowTemplate': '@kubernetes-models/argo-workflows',
  'monitoring.coreos.com/PrometheusRule': '@kubernetes-models/prometheus-operator',
  'monitoring.coreos.com/ServiceMonitor': '@kubernetes-models/prometheus-operator',
  'serving.knative.dev/Service': '@kubernetes-models/knative',
};

const CUSTOM_TYPES = 'custom-resources.ts';
const CUSTOM = ['KafkaSource', 'KafkaSink', 'KafkaTopic', 'Redis', 'Cluster'];

/**
 * The type errors of the manifests; empty if there are none. They are compiled as TypeScript literals of their published
 * types, which finds unknown fields, missing fields and wrong types. Each must also pass its type's own validation of
 * values.
 */
export async function typeFaults(manifests: readonly Manifest[]): Promise<readonly string[]> {
  return [
    ...compileFaults(manifests),
    ...(await Promise.all(manifests.map((manifest) => valueFaults(manifest)))).flat(),
  ];
}

function compileFaults(manifests: readonly Manifest[]): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'facteur-manifests-'));
  try {
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    copyFileSync(join(import.meta.dirname, CUSTOM_TYPES), join(folder, CUSTOM_TYPES));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), include: ['*.ts'] }),
    );
    const titles = new Map(manifests.map((manifest, index) => [`manifest-${index}.ts`, titleOf(manifest)]));
    for (const [index, manifest] of manifests.entries()) {
      writeFileSync(join(folder, `manifest-${index}.ts`), sourceOf(manifest));
    }
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '--noEmit', '--pretty', 'false'], {
      cwd: folder,
      encoding: 'utf8',
    });
    // The first line of each error: the following ones show where in which type.
    return stdout
      .split('\n')
      .filter((line) => /error TS/.test(line))
      .map((line) =>
        line.replace(/^(manifest-\d+\.ts)\([\d,]+\): error TS\d+/, (_, file: string) => titles.get(file) ?? file),
      );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sourceOf(manifest: Manifest): string {
  const from = CUSTOM.includes(manifest.kind) ? `./${CUSTOM_TYPES}` : moduleOf(manifest);
  return [
    `import type { I${manifest.kind} as Kind } from '${from}';`,
    `export const manifest: Kind = ${JSON.stringify(manifest, undefined, 2)};`,
  ].join('\n');
}

function moduleOf({ apiVersion, kind }: Manifest): string {
  const [group] = apiVersion.split('/');
  return `${PACKAGES[`${group}/${kind}`] ?? 'kubernetes-models'}/${apiVersion}/${kind}`;
}

/** Errors in formats and patterns, such as quantities and names, which types cannot express. */
async function valueFaults(manifest: Manifest): Promise<readonly string[]> {
  if (CUSTOM.includes(manifest.kind)) {
    return [];
  }
  const module = (await import(moduleOf(manifest))) as Record<string, new (data: Manifest) => { validate(): void }>;
  const Model = module[manifest.kind];
  if (Model === undefined) {
    return [`${titleOf(manifest)}: ${moduleOf(manifest)} has no such kind`];
  }
  try {
    new Model(manifest).validate();
    return [];
  } catch (error) {
    return [`${titleOf(manifest)}: ${String(error)}`];
  }
}
