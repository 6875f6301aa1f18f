import type { Clock } from '../../src/base/clock.ts';
import { alreadyExists, expired, notFound, objectTooLarge, versionTooLarge } from './api-failure.ts';
import { storedBytes } from '../../src/domain/workflow-manifest.ts';
import { NO_LABELS, type ApiObject, type JsonObject, type Resource } from './objects.ts';
import { randomUuid } from './random.ts';
import { firstBehind } from './sorted.ts';

/** One version of one object. Its JSON is generated at most once. */
export class Entry {
  readonly object: ApiObject;
  readonly version: number;
  #json: string | undefined;

  constructor(object: ApiObject, version: number) {
    this.object = object;
    this.version = version;
  }

  get labels(): Readonly<Record<string, string>> {
    return this.object.metadata.labels ?? NO_LABELS;
  }

  get json(): string {
    this.#json ??= JSON.stringify(this.object);
    return this.#json;
  }
}

/** Why an object changed; `progress` is a status change without a change of phase. */
export type Cause = 'create' | 'patch' | 'delete' | 'state' | 'progress' | 'retry';

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly cause: Cause;
  readonly resource: Resource;
  readonly version: number;
  readonly entry: Entry;
  /** The previous object; undefined for ADDED. */
  readonly previous: Entry | undefined;
}

export interface NewObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: JsonObject & { readonly name: string; readonly namespace: string };
  readonly spec: JsonObject;
  readonly status?: JsonObject;
}

interface StoreOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** How many past events are available to watches and paged lists. */
  readonly eventWindow: number;
  readonly maxObjectBytes: number;
}

/** The etcd of the simulation: objects, one increasing version number, and a bounded history of events. */
export class Store {
  readonly #options: StoreOptions;
  readonly #objects: Readonly<Record<Resource, Map<string, Entry>>> = {
    workflows: new Map(),
    workflowtemplates: new Map(),
  };
  readonly #listeners: ((event: StoreEvent) => void)[] = [];
  #events: StoreEvent[] = [];
  /** The newest version that is no longer available. */
  #forgotten: number;
  #version = 1000;
  #lastSnapshot:
    | { readonly resource: Resource; readonly version: number; readonly entries: readonly Entry[] }
    | undefined;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#forgotten = this.#version;
  }

  get version(): number {
    return this.#version;
  }

  /** Everything up to this version is forgotten: watches may start at it, not before it. */
  get forgotten(): number {
    return this.#forgotten;
  }

  onCommit(listener: (event: StoreEvent) => void): void {
    this.#listeners.push(listener);
  }

  find(resource: Resource, namespace: string, name: string): Entry | undefined {
    return this.#objects[resource].get(`${namespace}/${name}`);
  }

  get(resource: Resource, namespace: string, name: string): Entry {
    const entry = this.find(resource, namespace, name);
    if (entry === undefined) {
      throw notFound(resource, name);
    }
    return entry;
  }

  /** All current objects of a kind, in no particular order. */
  all(resource: Resource): Iterable<Entry> {
    return this.#objects[resource].values();
  }

  count(resource: Resource): number {
    return this.#objects[resource].size;
  }

  create(resource: Resource, wanted: NewObject): Entry {
    const entry = this.tryCreate(resource, wanted);
    return this.#commit({
      type: 'ADDED',
      cause: 'create',
      resource,
      version: entry.version,
      entry,
      previous: undefined,
    });
  }

  /** The result of a create, without storing it. */
  tryCreate(resource: Resource, wanted: NewObject): Entry {
    const { name, namespace } = wanted.metadata;
    if (this.find(resource, namespace, name) !== undefined) {
      throw alreadyExists(resource, name);
    }
    const version = this.#version + 1;
    const object: ApiObject = {
      ...wanted,
      metadata: {
        ...wanted.metadata,
        uid: randomUuid(this.#options.random),
        resourceVersion: String(version),
        creationTimestamp: timestamp(this.#options.clock),
        generation: 1,
      },
    };
    return this.#measured(new Entry(object, version));
  }

  /** Replaces an object with the result of `change`; writes nothing if that is the same object. */
  update(resource: Resource, current: Entry, cause: Cause, change: (object: ApiObject) => ApiObject): Entry {
    const changed = change(current.object);
    if (changed === current.object) {
      return current;
    }
    const version = this.#version + 1;
    const specChanged = changed.spec !== current.object.spec;
    const object: ApiObject = {
      ...changed,
      metadata: {
        ...changed.metadata,
        resourceVersion: String(version),
        generation: current.object.metadata.generation + (specChanged ? 1 : 0),
      },
    };
    const entry = this.#measured(new Entry(object, version));
    return this.#commit({ type: 'MODIFIED', cause, resource, version, entry, previous: current });
  }

  delete(resource: Resource, current: Entry): Entry {
    const version = this.#version + 1;
    const { object } = current;
    const last: ApiObject = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    const entry = new Entry(last, version);
    return this.#commit({ type: 'DELETED', cause: 'delete', resource, version, entry, previous: current });
  }

  /** The objects of a kind at `version`, sorted by namespace and name. */
  snapshot(resource: Resource, version: number): readonly Entry[] {
    if (version < this.#forgotten) {
      throw expired('The resourceVersion for the provided list is too old.');
    }
    if (version > this.#version) {
      throw versionTooLarge(version, this.#version);
    }
    const last = this.#lastSnapshot;
    if (last?.resource === resource && last.version === version) {
      return last.entries;
    }
    const objects = new Map(this.#objects[resource]);
    for (const event of this.#after(version).toReversed()) {
      if (event.resource === resource) {
        undo(objects, event);
      }
    }
    const sorted = [...objects].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const entries = sorted.map(([, entry]) => entry);
    this.#lastSnapshot = { resource, version, entries };
    return entries;
  }

  /** The events after `version`, oldest first; undefined if it is in the future. */
  eventsAfter(version: number): readonly StoreEvent[] {
    if (version < this.#forgotten) {
      throw expired(`too old resource version: ${version} (${this.#forgotten})`);
    }
    return this.#after(version);
  }

  /** Forgets all events, as etcd's compaction does after some minutes. */
  compact(): void {
    this.#events = [];
    this.#forgotten = this.#version;
    this.#lastSnapshot = undefined;
  }

  /** Restores the state at `version`, which becomes the newest again, like a restored backup. */
  restore(version: number): void {
    for (const resource of ['workflows', 'workflowtemplates'] as const) {
      const entries = this.snapshot(resource, version);
      this.#objects[resource].clear();
      for (const entry of entries) {
        const { name, namespace } = entry.object.metadata;
        this.#objects[resource].set(`${namespace}/${name}`, entry);
      }
    }
    this.#version = version;
    this.compact();
  }

  #after(version: number): readonly StoreEvent[] {
    return this.#events.slice(firstBehind(this.#events, (event) => event.version > version));
  }

  #measured(entry: Entry): Entry {
    const { maxObjectBytes } = this.#options;
    if (entry.json.length * 6 > maxObjectBytes && storedBytes(entry.json) > maxObjectBytes) {
      throw objectTooLarge();
    }
    return entry;
  }

  #commit(event: StoreEvent): Entry {
    const { entry, resource } = event;
    const { name, namespace } = entry.object.metadata;
    const key = `${namespace}/${name}`;
    if (event.type === 'DELETED') {
      this.#objects[resource].delete(key);
    } else {
      this.#objects[resource].set(key, entry);
    }
    this.#version = event.version;
    this.#events.push(event);
    this.#trim();
    for (const listener of this.#listeners) {
      listener(event);
    }
    return entry;
  }

  /** Trims in large pieces, so the cost of a commit does not depend on the size of the window. */
  #trim(): void {
    const { eventWindow } = this.#options;
    if (this.#events.length >= eventWindow * 2) {
      const cut = this.#events.length - eventWindow;
      this.#forgotten = this.#events[cut - 1]?.version ?? this.#forgotten;
      this.#events = this.#events.slice(cut);
    }
  }
}

function undo(objects: Map<string, Entry>, event: StoreEvent): void {
  const { name, namespace } = event.entry.object.metadata;
  const key = `${namespace}/${name}`;
  if (event.previous === undefined) {
    objects.delete(key);
  } else {
    objects.set(key, event.previous);
  }
}

/** RFC 3339 in whole seconds, the format of Go's `metav1.Time`. */
export function timestamp(clock: Clock): string {
  return `${clock.now().toISOString().slice(0, 19)}Z`;
}
