import type { Document, Scalar } from 'yaml';
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import * as z from 'zod';
import type { Fault, Place } from './fault.ts';
import { peel } from './keys.ts';
import { convert, splitList, wordFor } from './scalars.ts';
import type { Entry } from './yaml-entries.ts';
import { dereference, entriesOf, scalarText } from './yaml-entries.ts';

type Schema = z.core.$ZodType;
type Tree = Record<string, unknown>;

/** Findings of the reader, from the file and from the environment. */
export interface Findings {
  /** Where each value was written, by its path (`role_map.plan[0]`). */
  readonly places: Map<string, Place>;
  /** Paths whose value has the wrong shape: reported already, and left out of the tree. */
  readonly broken: Set<string>;
  readonly faults: Fault[];
  /** Unknown keys, with their known siblings. */
  readonly unknown: { readonly key: string; readonly siblings: readonly string[]; readonly place: Place }[];
}

/** The source of nodes. */
interface Origin {
  readonly document: Document;
  readonly locate: (node: unknown) => Place;
  readonly findings: Findings;
}

/** A map without a prototype, so that a key called `constructor` is a key like any other. */
export function emptyTree(): Tree {
  return Object.create(null) as Tree;
}

/**
 * The plain value of a node, shaped by the schema. Scalars are converted to the type of the schema, as in the Go
 * service (so an id without quotes keeps its digits). Empty values are dropped; values of the wrong shape and unknown
 * keys are reported. The schema validates the values themselves.
 */
export function readNode(schema: Schema, node: unknown, path: string, origin: Origin): unknown {
  const target = dereference(node, origin.document);
  if (target === undefined && isAlias(node)) {
    return mismatch(path, 'refers to an unknown anchor', origin.locate(node), origin);
  }
  if (isEmpty(target)) {
    return undefined;
  }
  origin.findings.places.set(path, origin.locate(node));
  const shape = memberFor(peel(schema), target);
  const value = isScalar(target)
    ? readScalar(shape, target)
    : (readNothing(shape, target) ?? readCollection(shape, target, path, origin));
  return value ?? mismatch(path, `must be ${wordFor(shape)}`, origin.locate(node), origin);
}

/** Undefined if the schema does not expect a scalar. */
function readScalar(shape: Schema, node: Scalar): unknown {
  if (shape instanceof z.ZodObject || shape instanceof z.ZodRecord) {
    return undefined;
  }
  if (shape instanceof z.ZodArray) {
    return splitList(scalarText(node));
  }
  return shape instanceof z.ZodNumber && typeof node.value === 'number' ? node.value : convert(shape, scalarText(node));
}

/** An empty list or map, which the Go service does not distinguish: templates write `[]` for an empty map. */
function readNothing(shape: Schema, node: unknown): unknown {
  if (!(isMap(node) || isSeq(node)) || node.items.length > 0) {
    return undefined;
  }
  if (shape instanceof z.ZodArray) {
    return [];
  }
  return shape instanceof z.ZodObject || shape instanceof z.ZodRecord ? emptyTree() : undefined;
}

/** Undefined when the schema wants another shape. */
function readCollection(shape: Schema, node: unknown, path: string, origin: Origin): unknown {
  if (shape instanceof z.ZodObject && isMap(node)) {
    return readGroup(shape, node, path, origin);
  }
  if (shape instanceof z.ZodRecord && isMap(node)) {
    return readMap(shape.valueType, node, path, origin);
  }
  if (shape instanceof z.ZodArray && isSeq(node)) {
    // An empty item is kept so that it is refused: if it were dropped, an empty token would silently leave a door
    // open.
    return node.items.map(
      (item, index) => readNode(shape.element, item, `${path}[${index}]`, origin) ?? standIn(shape.element),
    );
  }
  return undefined;
}

function readGroup(shape: z.ZodObject, node: unknown, path: string, origin: Origin): Tree {
  const tree = emptyTree();
  const shapes = new Map(Object.entries<Schema>(shape.shape));
  const entries = checkedEntries(node, path, origin);
  const counting = keysInAnyCase(entries.keys());
  for (const [written, entry] of entries) {
    const lower = written.toLowerCase();
    const name = shapes.has(lower) && counting.get(lower) === written ? lower : written;
    const key = path === '' ? name : `${path}.${name}`;
    const known = shapes.get(name);
    if (known === undefined) {
      origin.findings.unknown.push({ key, siblings: [...shapes.keys()], place: origin.locate(entry.key) });
      continue;
    }
    const value = readNode(known, entry.value, key, origin);
    if (value !== undefined) {
      tree[name] = value;
    }
  }
  return tree;
}

/**
 * Keys as written, by their lower-case form: the Go service ignored case. If several differ only by case, the one in lower case
 * counts, else the first.
 */
export function keysInAnyCase(written: Iterable<string>): ReadonlyMap<string, string> {
  const counting = new Map<string, string>();
  for (const key of written) {
    const lower = key.toLowerCase();
    if (key === lower || !counting.has(lower)) {
      counting.set(lower, key);
    }
  }
  return counting;
}

function readMap(valueSchema: Schema, node: unknown, path: string, origin: Origin): Tree {
  const tree = emptyTree();
  for (const [name, entry] of checkedEntries(node, path, origin)) {
    const full = `${path}.${name}`;
    if (name === '__proto__') {
      // The schema library drops it silently, and a missing rule lets everyone in.
      mismatch(full, 'is not an allowed name', origin.locate(entry.key), origin);
      continue;
    }
    const value = readNode(valueSchema, entry.value, full, origin) ?? standIn(valueSchema);
    if (value !== undefined) {
      tree[name] = value;
      // The names in a map are validated too, and an error needs their position.
      origin.findings.places.set(full, origin.locate(entry.key));
    }
  }
  return tree;
}

/** The value of an entry or item that is present but empty: an empty list counts as missing, and the schema judges the rest. */
function standIn(schema: Schema): unknown {
  const shape = peel(schema);
  if (shape instanceof z.ZodArray) {
    return undefined;
  }
  return shape instanceof z.ZodObject ? emptyTree() : '';
}

/** Selects the member of a union by the node's shape: a plain choice, or one with a name. */
function memberFor(schema: Schema, node: unknown): Schema {
  if (!(schema instanceof z.ZodUnion)) {
    return schema;
  }
  const members = schema.options.map(peel);
  return members.find((member) => member instanceof z.ZodObject === isMap(node)) ?? schema;
}

function isEmpty(node: unknown): boolean {
  return node === undefined || node === null || (isScalar(node) && (node.value === null || node.value === ''));
}

function checkedEntries(node: unknown, path: string, origin: Origin): ReadonlyMap<string, Entry> {
  const { byName, wrong } = entriesOf(node, origin.document);
  for (const { key, name, message } of wrong) {
    const full = [path, name].filter((part) => part !== '').join('.');
    const subject = full === '' ? 'the file' : full;
    origin.findings.faults.push({ ...origin.locate(key), key: full, message: `${subject} ${message}` });
  }
  return byName;
}

function mismatch(path: string, message: string, place: Place, origin: Origin): undefined {
  const subject = path === '' ? 'the file' : path;
  origin.findings.broken.add(path);
  origin.findings.faults.push({ ...place, key: path, message: `${subject} ${message}` });
  return undefined;
}
