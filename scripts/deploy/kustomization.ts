import { isMap, isSeq, parseDocument } from 'yaml';
import type { YAMLMap } from 'yaml';

/** What the manifests call the image. An overlay on top of another one has to call it what that one has made of it. */
const PLACEHOLDER = /(^|\/)facteur$/;

/** An image as an overlay's kustomization names it. */
export interface ImageChoice {
  readonly name: string;
  readonly tag: string;
  /** `sha256:…` */
  readonly digest: string;
}

/**
 * The kustomization with another image; everything else, comments too, stays as it was. With tag and digest both there,
 * people read the one and the cluster goes by the other.
 *
 * @throws Error when it has no `images` entry called `facteur`, or `…/facteur`
 */
export function withImage(kustomization: string, { name, tag, digest }: ImageChoice): string {
  const document = parseDocument(kustomization);
  const images = document.get('images');
  const entry = isSeq(images)
    ? images.items.find((item): item is YAMLMap => isMap(item) && PLACEHOLDER.test(String(item.get('name'))))
    : undefined;
  if (entry === undefined || document.errors.length > 0) {
    throw new Error('the kustomization has no entry "facteur" under images');
  }
  entry.set('newName', name);
  entry.set('newTag', tag);
  entry.set('digest', digest);
  return document.toString({ lineWidth: 0, indentSeq: true });
}
