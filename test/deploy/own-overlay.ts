import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { DEPLOY, parseManifests, type Manifest } from './manifests.ts';
import { findTool } from './tools.ts';

/** A user's own overlay: one of ours, with more components and objects. */
export function renderOwn(
  overlay: string,
  components: readonly string[],
  objects: readonly Manifest[] = [],
): readonly Manifest[] {
  const folder = mkdtempSync(join(tmpdir(), 'facteur-overlay-'));
  try {
    const at = (path: string): string => relative(folder, join(DEPLOY, path));
    const files = objects.map((object, index) => {
      writeFileSync(join(folder, `object-${index}.yaml`), JSON.stringify(object));
      return `object-${index}.yaml`;
    });
    const own = {
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: [at(`overlays/${overlay}`), ...files],
      components: components.map((component) => at(`components/${component}`)),
    };
    writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(own));
    return parseManifests(execFileSync(findTool('kubectl'), ['kustomize', folder], { encoding: 'utf8' }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
