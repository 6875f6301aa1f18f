import type { Document, Scalar } from 'yaml';
import { isAlias, isMap, isScalar, isSeq } from 'yaml';

/** A key and its value, as nodes. */
export interface Entry {
  readonly key: unknown;
  readonly value: unknown;
}

/** The entries of a map by name, and its invalid keys: `name` is empty if the key is not text. */
interface Entries {
  readonly byName: ReadonlyMap<string, Entry>;
  readonly wrong: readonly { readonly key: unknown; readonly name: string; readonly message: string }[];
}

/** Maximum depth of nested merges, which also ends a circle of them. */
const MAX_MERGES = 8;

/**
 * The entries of a map node. Its own entries override merged ones (`<<: *defaults`, which the Go service's YAML
 * supported).
 */
export function entriesOf(node: unknown, document: Document, merges = 0): Entries {
  const byName = new Map<string, Entry>();
  const wrong: Entries['wrong'][number][] = [];
  if (!isMap(node) || merges > MAX_MERGES) {
    return { byName, wrong };
  }
  const own = new Set<string>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? scalarText(key) : '';
    if (!isScalar(key)) {
      wrong.push({ key, name, message: 'has a key that is not text' });
    } else if (isMerge(key)) {
      mergeInto(byName, own, mergedEntries(value, document, merges));
    } else if (own.has(name)) {
      wrong.push({ key, name, message: 'is a duplicate key' });
    } else {
      own.add(name);
      byName.set(name, { key, value });
    }
  }
  return { byName, wrong };
}

/** The text of a scalar as it was written: `012` stays `012`, and a long id keeps its last digits. */
export function scalarText(node: Scalar): string {
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}

/** The target of an alias, or the node itself; undefined for an unknown alias. */
export function dereference(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function isMerge(key: Scalar): boolean {
  return key.type === 'PLAIN' && key.source === '<<';
}

function mergedEntries(value: unknown, document: Document, merges: number): ReadonlyMap<string, Entry>[] {
  const target = dereference(value, document);
  const maps = isSeq(target) ? target.items : [target];
  return maps.map((map) => entriesOf(dereference(map, document), document, merges + 1).byName);
}

/** The first of several merged maps wins, and the map's own keys win over all of them. */
function mergeInto(
  target: Map<string, Entry>,
  own: ReadonlySet<string>,
  sources: readonly ReadonlyMap<string, Entry>[],
): void {
  for (const source of sources) {
    for (const [name, entry] of source) {
      if (!own.has(name) && !target.has(name)) {
        target.set(name, entry);
      }
    }
  }
}
