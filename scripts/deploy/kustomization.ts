import { isMap, isSeq, parseDocument } from 'yaml';
import type { Document, YAMLMap } from 'yaml';

/** The image's name in the manifests. An overlay on top of another must use the name that the other one gave it. */
const PLACEHOLDER = /(^|\/)facteur$/;

/** An image entry of an overlay's kustomization. */
export interface ImageChoice {
  readonly name: string;
  readonly tag: string;
  /** `sha256:…` */
  readonly digest: string;
}

/**
 * The image name in the kustomization, with registry or repository replaced if given.
 *
 * @throws Error when it has no `images` entry called `facteur`, or `…/facteur`
 */
export function imageName(
  kustomization: string,
  { registry, repository }: { readonly registry: string | undefined; readonly repository: string | undefined },
): string {
  const { entry } = entryOf(kustomization);
  const present = String(entry.get('newName') ?? entry.get('name'));
  const slash = present.indexOf('/');
  const [host, path] = slash === -1 ? ['docker.io', present] : [present.slice(0, slash), present.slice(slash + 1)];
  return `${registry ?? host}/${repository ?? path}`;
}

/**
 * The kustomization with another image; everything else, including comments, is unchanged. The tag is for people; the cluster
 * uses the digest.
 *
 * @throws Error when it has no `images` entry called `facteur`, or `…/facteur`
 */
export function withImage(kustomization: string, { name, tag, digest }: ImageChoice): string {
  const { document, entry } = entryOf(kustomization);
  entry.set('newName', name);
  entry.set('newTag', tag);
  entry.set('digest', digest);
  return document.toString({ lineWidth: 0, indentSeq: true });
}

function entryOf(kustomization: string): { readonly document: Document; readonly entry: YAMLMap } {
  const document = parseDocument(kustomization);
  const images = document.get('images');
  const entry = isSeq(images)
    ? images.items.find((item): item is YAMLMap => isMap(item) && PLACEHOLDER.test(String(item.get('name'))))
    : undefined;
  if (entry === undefined || document.errors.length > 0) {
    throw new Error('the kustomization has no entry "facteur" under images');
  }
  return { document, entry };
}
