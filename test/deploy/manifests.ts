import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { findTool } from './tools.ts';

export const DEPLOY = join(import.meta.dirname, '../../deploy');

/** Every folder of `deploy/overlays`. */
export const OVERLAYS: readonly string[] = readdirSync(join(DEPLOY, 'overlays')).toSorted();

/** An object of Kubernetes, loosely typed: a wrong shape fails the assertion that follows, or the type check. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // oxlint-disable-next-line typescript/no-explicit-any -- see above
  readonly [field: string]: any;
}

/** The objects that `kubectl apply -k` would apply. */
export function renderOverlay(name: string): readonly Manifest[] {
  const text = execFileSync(findTool('kubectl'), ['kustomize', join(DEPLOY, 'overlays', name)], { encoding: 'utf8' });
  return parseManifests(text);
}

export function parseManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

/** The name of an object in tests, such as `Deployment facteur`. */
export function titleOf({ kind, metadata }: Manifest): string {
  return `${kind} ${metadata.name}`;
}

export function findManifest(manifests: readonly Manifest[], title: string): Manifest {
  const found = manifests.find((manifest) => titleOf(manifest) === title);
  if (found === undefined) {
    throw new Error(`no ${title} among ${manifests.map((manifest) => titleOf(manifest)).join(', ')}`);
  }
  return found;
}
