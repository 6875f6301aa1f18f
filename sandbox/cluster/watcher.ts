import type { ServerResponse } from 'node:http';
import type { ApiFailure } from './api-failure.ts';
import { API_VERSION, KINDS, type Resource } from './objects.ts';
import { matches, matchesFields, type FieldRequirement, type Requirement } from './selector.ts';
import type { Entry, StoreEvent } from './store.ts';

/** A slow client is disconnected when this much is pending, like the API server does. */
const MAX_BUFFERED_BYTES = 32 * 1024 * 1024;

interface WatcherOptions {
  readonly resource: Resource;
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  readonly requirements: readonly Requirement[];
  readonly fields: readonly FieldRequirement[];
  readonly bookmarks: boolean;
  /** The client knows everything up to this version. It may be in the future: until then the client gets nothing. */
  readonly after: number;
}

/** Disturbances of the lines of a flush. */
interface Disturbance {
  readonly duplicate: boolean;
  readonly reorder: boolean;
  /** Cut the first line in the middle and end there. */
  readonly truncate: boolean;
}

/** One open watch: turns events into lines for one client and writes them in batches. */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #response: ServerResponse;
  #pending: string[] = [];

  constructor(response: ServerResponse, options: WatcherOptions) {
    this.#response = response;
    this.#options = options;
  }

  /** Queues the event; false if it does not concern this watch. */
  offer(event: StoreEvent): boolean {
    const type = this.#typeFor(event);
    if (type === undefined || event.version <= this.#options.after) {
      return false;
    }
    this.#pending.push(line(type, event.entry.json));
    return true;
  }

  /** Queues an object of the initial list. */
  offerInitial(entry: Entry): void {
    if (this.#covers(entry)) {
      this.#pending.push(line('ADDED', entry.json));
    }
  }

  /** Sent only if the version is newer than the one the watch began with, as an API server does. */
  offerBookmark(version: number): void {
    if (this.#options.bookmarks && version > this.#options.after) {
      const { resource } = this.#options;
      const metadata = { resourceVersion: String(version), creationTimestamp: null };
      this.#pending.push(
        line('BOOKMARK', JSON.stringify({ kind: KINDS[resource], apiVersion: API_VERSION, metadata })),
      );
    }
  }

  /** Writes all queued lines; false if this ended the connection. */
  flush({ duplicate, reorder, truncate }: Disturbance): boolean {
    const lines = reorder ? this.#pending.toReversed() : this.#pending;
    this.#pending = [];
    const [first] = lines;
    if (first === undefined) {
      return true;
    }
    if (truncate) {
      this.#response.end(first.slice(0, Math.ceil(first.length / 2)));
      return false;
    }
    this.#response.write((duplicate ? lines.flatMap((each) => [each, each]) : lines).join(''));
    if (this.#response.writableLength > MAX_BUFFERED_BYTES) {
      this.reset();
      return false;
    }
    return true;
  }

  /** Sends an ERROR event and ends the watch normally. */
  fail(failure: ApiFailure): void {
    this.#response.end(line('ERROR', JSON.stringify(failure.status)));
  }

  end(): void {
    this.#response.end();
  }

  reset(): void {
    this.#response.destroy();
  }

  /** A changed object that starts or stops matching the selector is ADDED or DELETED for this watch. */
  #typeFor(event: StoreEvent): StoreEvent['type'] | undefined {
    const now = event.type !== 'DELETED' && this.#covers(event.entry);
    const before = event.previous !== undefined && this.#covers(event.previous);
    if (now) {
      return before ? 'MODIFIED' : 'ADDED';
    }
    return before ? 'DELETED' : undefined;
  }

  #covers(entry: Entry): boolean {
    const { namespace, requirements, fields } = this.#options;
    return (
      (namespace === undefined || entry.object.metadata.namespace === namespace) &&
      matches(requirements, entry.labels) &&
      matchesFields(fields, entry.object.metadata)
    );
  }

  get resource(): Resource {
    return this.#options.resource;
  }
}

function line(type: string, json: string): string {
  return `{"type":"${type}","object":${json}}\n`;
}
